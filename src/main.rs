//! `scorebook`: the commands, and the kernel that Jupyter starts with one of them.

mod command;
mod kernel;

fn main() -> std::process::ExitCode {
    // The kernel runs its cells in this program too, started anew.
    kernel::runtime_mode_if_child();
    command::main()
}
