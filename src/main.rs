//! The `cardiograd` program.

fn main() -> std::process::ExitCode {
    cardiograd::run()
}
