//! Says how this crate is built, for the report, and builds the program in `reference/`, which verifies with
//! `ed25519-simd`: that library needs AVX-512 switched on for a whole program, so it gets a program of its own, which is
//! then put into this crate as bytes. Where that build fails, this one goes on without it, and the report says so.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the program is built with; at run time `src/reference.rs` asks the CPU for the same.
const RUSTFLAGS: &str = "-Ctarget-feature=+avx512f,+avx512bw,+avx512dq,+avx512ifma";

/// The variables of cargo that a cargo inside another should see: where packages come from, and how many jobs to run.
const KEPT: [&str; 7] = [
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_MAKEFLAGS",
    "CARGO_NET_",
    "CARGO_REGISTRIES_",
    "CARGO_REGISTRY_",
    "CARGO_SOURCE_",
];

fn main() -> Result<(), Box<dyn Error>> {
    for path in ["build.rs", "reference/Cargo.toml", "reference/Cargo.lock", "reference/src"] {
        println!("cargo:rerun-if-changed={path}");
    }
    say("CONSTELLATION_COMPILER", &compiler());
    let rustflags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default().replace('\u{1f}', " ");
    say("CONSTELLATION_RUSTFLAGS", &rustflags);
    for name in ["OPT_LEVEL", "PROFILE", "TARGET"] {
        say(&format!("CONSTELLATION_{name}"), &env::var(name)?);
    }

    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let program = out.join("reference-program");
    let built = reference(&out).and_then(|built| Ok(fs::copy(built, &program)?));
    let problem = built.err().map(|error| error.to_string()).unwrap_or_default();
    if !problem.is_empty() {
        fs::write(&program, [])?;
    }
    say("CONSTELLATION_REFERENCE_PROBLEM", &problem);
    Ok(())
}

/// Sets a variable for the compilation of this crate.
fn say(name: &str, value: &str) {
    println!("cargo:rustc-env={name}={}", value.replace('\n', " "));
}

fn compiler() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().ok();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// Builds the program below `out`, and gives its path.
fn reference(out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    if env::var_os("CARGO_FEATURE_ED25519_SIMD").is_none() {
        return Err("this build leaves it out (the feature ed25519-simd is off)".into());
    }
    if env::var("CARGO_CFG_TARGET_ARCH")? != "x86_64" {
        return Err("it runs on x86-64 only".into());
    }
    let target = env::var("TARGET")?;
    let target_dir = out.join("reference");
    let built = cargo(&target, &target_dir);
    if let Err(error) = &built {
        println!(
            "cargo:warning=ed25519-simd is left out of `bench verify`, because its program in benches/reference does \
             not build; once it does, run `cargo clean -p constellation-benches` and build again: {error}"
        );
    }
    built?;
    let name = format!("constellation-reference{}", if target.contains("windows") { ".exe" } else { "" });
    Ok(target_dir.join(target).join("release").join(name))
}

fn cargo(target: &str, target_dir: &Path) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        if is_confusing(&name) {
            command.env_remove(name);
        }
    }
    command.current_dir("reference").env("CARGO_ENCODED_RUSTFLAGS", RUSTFLAGS);
    command.args(["build", "--release", "--locked", "--quiet", "--target", target, "--target-dir"]).arg(target_dir);
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let reason = text.lines().find(|line| line.starts_with("error")).unwrap_or("no error told").to_owned();
    Err(format!("cargo ended with {}: {reason}", output.status).into())
}

/// Whether a variable of the build around this one would change a cargo inside it: its flags, its target folder, its
/// profiles, the wrappers around its compiler (clippy's is one).
fn is_confusing(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    let is_cargo = name.starts_with("CARGO_") && !KEPT.iter().any(|kept| name.starts_with(kept));
    is_cargo || ["RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"].contains(&name.as_ref())
}
