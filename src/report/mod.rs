//! What people look at: tables, pictures and the HTML report.
