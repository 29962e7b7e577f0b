//! `scorebook`: the commands, and the kernel that Jupyter starts with one of them.

mod command;

fn main() -> std::process::ExitCode {
    command::main()
}
