//! `scorebook`: the commands, and the kernel that Jupyter starts with one of them.

mod command;
mod kernel;

fn main() -> std::process::ExitCode {
    kernel::runtime_mode_if_child();
    command::main()
}
