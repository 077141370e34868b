//! The reverse-mode tape: programs, runs of them, and the walk back.
