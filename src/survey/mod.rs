//! The blinded expert review: pages for raters, and the tally of their votes.
