//! argv in, exit code out.

fn main() -> std::process::ExitCode {
    why403::cli::main()
}
