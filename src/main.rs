//! `scorebook`: the commands, and the kernel that Jupyter starts with one of them.

mod command;
mod kernel;

fn main() -> std::process::ExitCode {
    // In the place of the compiler it hands on what cargo says of the package.
    kernel::stand_in_if_called();
    forget_cargo();
    // The kernel runs its cells in this program too, started anew.
    kernel::runtime_mode_if_child();
    command::main()
}

/// Forgets what `cargo run` and `cargo test` tell their programs of the package: build scripts look at these variables,
/// and cargo would compile a notebook's dependencies anew in every kernel that inherited them.
fn forget_cargo() {
    for (name, _) in std::env::vars_os() {
        let spoken = name.to_string_lossy();
        let of_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
        let others = ["CARGO", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"];
        if of_package.iter().any(|prefix| spoken.starts_with(prefix)) || others.contains(&&*spoken)
        {
            // SAFETY: the program has just begun and has no other thread.
            unsafe { std::env::remove_var(&name) };
        }
    }
}
