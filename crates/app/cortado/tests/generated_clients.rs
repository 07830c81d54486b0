//! Clients that others' generators make of `/openapi.json` compile, and do a round trip.
//!
//! `CORTADO_CLIENT_TOOLS` names the folder with the generators; `cargo xtask test` fills it, or
//! says that it leaves this out.

use crate::harness::Server;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A server, its description, and a folder to work in.
struct Bench {
    server: Server,
    folder: tempfile::TempDir,
}

impl Bench {
    fn start() -> Bench {
        let folder = tempfile::tempdir().expect("a folder");
        let server = Server::start(&folder.path().join("data"));
        let description = server.http().get("/openapi.json");
        assert_eq!(description.status, 200);
        std::fs::write(folder.path().join("openapi.json"), description.body).expect("written");
        Bench { server, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Copies a file of this test into the folder.
    fn copy(&self, file: &str) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(file);
        let name = from.file_name().expect("a file");
        std::fs::copy(&from, self.folder.path().join(name)).expect("copied");
    }

    /// Runs a program in the folder to its good end; what it printed.
    #[track_caller]
    fn run(&self, program: &Path, arguments: &[&str], env: &[(&str, &str)]) -> String {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.envs(env.iter().copied());
        let output = command.output();
        let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(output.status.success(), "{} {arguments:?}:\n{said}", program.display());
        said
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }
}

fn tools() -> PathBuf {
    let tools = std::env::var_os("CORTADO_CLIENT_TOOLS");
    tools.map(PathBuf::from).expect("set CORTADO_CLIENT_TOOLS; `cargo xtask test` does")
}

#[test]
fn a_generated_client_in_typescript_does_a_round_trip() {
    let bench = Bench::start();
    let modules = tools().join("node").join("node_modules");
    std::os::unix::fs::symlink(&modules, bench.path("node_modules")).expect("linked");
    for file in ["package.json", "tsconfig.json", "round_trip.ts"] {
        bench.copy(&format!("typescript/{file}"));
    }
    let tool = |name: &str| modules.join(".bin").join(name);
    bench.run(&tool("openapi-typescript"), &["openapi.json", "-o", "schema.d.ts"], &[]);
    // Checks all types, those of the generated declarations too.
    bench.run(&tool("tsc"), &[], &[]);
    let said = bench.run(Path::new("node"), &["out/round_trip.js", &bench.url()], &[]);
    assert_eq!(said, "round trip done\n");
}

#[test]
fn a_generated_client_in_python_does_a_round_trip() {
    let bench = Bench::start();
    for file in ["config.yaml", "round_trip.py"] {
        bench.copy(&format!("python/{file}"));
    }
    let tool = |name: &str| tools().join("python").join("bin").join(name);
    let package = ["--output-path", "cortado_client", "--meta", "none", "--config", "config.yaml"];
    let words = ["generate", "--path", "openapi.json"].into_iter().chain(package);
    let said = bench.run(&tool("openapi-python-client"), &words.collect::<Vec<_>>(), &[]);
    assert!(!said.contains("Warning"), "something was left out:\n{said}");
    bench.run(&tool("python"), &["-m", "compileall", "-q", "cortado_client"], &[]);
    let path = [("PYTHONPATH", ".")];
    let said = bench.run(&tool("python"), &["round_trip.py", &bench.url()], &path);
    assert_eq!(said, "round trip done\n");
}
