//! Where jars come from: a Maven repository, by Maven, or by the JDK where there is no Maven.
//!
//! Start reading at [`Repository::fetch_into`].

use crate::error::{BrokersError, at};
use crate::java::Java;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// What Maven fetches.
pub(crate) const POM: &str = include_str!("../broker/pom.xml");
/// The plugin that copies jars, in the version that was tried.
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
/// Without Maven: a program for the source launcher of a JDK.
const FETCH: &str = include_str!("../broker/Fetch.java");
const CENTRAL: &str = "https://repo.maven.apache.org/maven2";
/// Another repository, without a slash at its end.
const VARIABLE: &str = "CORTADO_MAVEN_REPOSITORY";

/// How jars are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Repository {
    /// By Maven, which knows of mirrors and proxies.
    ByMaven,
    /// By the JDK, from the repository at this URL.
    ByJava(String),
}

impl Repository {
    /// The repository in `CORTADO_MAVEN_REPOSITORY`; else by Maven if it is installed.
    pub(crate) fn find() -> Repository {
        let named = env::var(VARIABLE).ok().filter(|url| !url.is_empty());
        let has_maven = || {
            let version = Command::new("mvn").arg("--version").stdin(Stdio::null()).output();
            version.is_ok_and(|output| output.status.success())
        };
        match named {
            Some(url) => Repository::ByJava(url.trim_end_matches('/').to_owned()),
            None if has_maven() => Repository::ByMaven,
            None => Repository::ByJava(CENTRAL.to_owned()),
        }
    }

    /// As people read it.
    pub(crate) fn shown(&self) -> &str {
        match self {
            Repository::ByMaven => "Maven's repository",
            Repository::ByJava(url) => url,
        }
    }

    /// Fetches the jars at `paths` into the folder `jars`, which it makes; nothing is checked.
    ///
    /// * `scratch`: a folder for files on the way.
    pub(crate) fn fetch_into(
        &self,
        paths: &[&str],
        java: &Java,
        scratch: &Path,
        jars: &Path,
    ) -> Result<(), BrokersError> {
        fs::create_dir_all(jars).map_err(at("make", jars))?;
        let status = match self {
            Repository::ByMaven => by_maven(scratch, jars)?,
            Repository::ByJava(url) => by_java(url, paths, java, scratch, jars)?,
        };
        match (status.success(), self) {
            (true, _) => Ok(()),
            (false, Repository::ByMaven) => {
                Err(BrokersError::NotFetched { by: "Maven", why: status.to_string() })
            }
            (false, Repository::ByJava(_)) => Err(BrokersError::NotFetched {
                by: "java",
                why: format!("{status}; it must be that of a JDK, a JRE has no compiler"),
            }),
        }
    }
}

fn by_maven(scratch: &Path, jars: &Path) -> Result<ExitStatus, BrokersError> {
    let pom = scratch.join("pom.xml");
    fs::write(&pom, POM).map_err(at("write", &pom))?;
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "-C", COPY, "-DincludeScope=runtime"]);
    maven.arg(format!("-DoutputDirectory={}", jars.display()));
    maven.current_dir(scratch).stdin(Stdio::null());
    // Standard output belongs to who asked for brokers.
    maven.stdout(io::stderr()).status().map_err(|error| BrokersError::NotInstalled {
        program: "mvn",
        why: error.to_string(),
        package: "maven",
    })
}

fn by_java(
    url: &str,
    paths: &[&str],
    java: &Java,
    scratch: &Path,
    jars: &Path,
) -> Result<ExitStatus, BrokersError> {
    let program = scratch.join("Fetch.java");
    fs::write(&program, FETCH).map_err(at("write", &program))?;
    let failed = |source| BrokersError::Io { doing: "fetch jars with java".to_owned(), source };
    let mut command = Command::new(&java.program);
    let proxy = ["HTTPS_PROXY", "https_proxy"].iter().find_map(|name| env::var(name).ok());
    command.args(proxy_flags(proxy.as_deref().unwrap_or_default()));
    command.arg(&program).arg(url).arg(jars);
    let mut child = command.stdin(Stdio::piped()).stdout(io::stderr()).spawn().map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        // It may have ended, and then its status says why.
        let _ = input.write_all((paths.join("\n") + "\n").as_bytes());
    }
    child.wait().map_err(failed)
}

/// Tells Java of a proxy such as `http://proxy.example.com:3128/`, which it does not look for.
fn proxy_flags(proxy: &str) -> Vec<String> {
    let place = proxy.split_once("://").map_or(proxy, |(_, place)| place);
    let place = place.split('/').next().unwrap_or_default();
    // Java takes no password here.
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let Some((host, port)) = place.rsplit_once(':') else { return Vec::new() };
    vec![format!("-Dhttps.proxyHost={host}"), format!("-Dhttps.proxyPort={port}")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread;

    /// Answers every request with its path, but that for `missing` with 404; answers the URL.
    fn serve_paths() -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let first = lines.next().unwrap_or_default();
                let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                lines.find(String::is_empty);
                let status = if path.contains("missing") { "404 No" } else { "200 OK" };
                let length = path.len();
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n");
                let _ = write!(&stream, "{head}connection: close\r\n\r\n{path}");
            }
        });
        format!("http://{address}/maven2")
    }

    #[test]
    fn the_java_of_a_jdk_fetches_without_maven() {
        // Without a JDK it cannot be tried; where CI says that all tests run, there is one.
        let Ok(java) = Java::find() else { return };
        let has_compiler = Command::new("javac").arg("-version").output().is_ok();
        if !has_compiler {
            return;
        }
        let folder = tempfile::tempdir().expect("the machine has a directory for tests");
        let jars = folder.path().join("jars");
        let repository = Repository::ByJava(serve_paths());
        let fetch = |paths: &[&str]| repository.fetch_into(paths, &java, folder.path(), &jars);
        fetch(&["org/a/1/a-1.jar", "b.jar"]).expect("both are there");
        let fetched = |name: &str| fs::read_to_string(jars.join(name)).expect("fetched");
        assert_eq!(fetched("a-1.jar"), "/maven2/org/a/1/a-1.jar");
        assert_eq!(fetched("b.jar"), "/maven2/b.jar");
        let refused = fetch(&["missing.jar"]);
        assert!(matches!(refused, Err(BrokersError::NotFetched { by: "java", .. })));
        assert!(!jars.join("missing.jar").exists());
    }

    #[test]
    fn java_is_told_of_the_proxy() {
        let want = ["-Dhttps.proxyHost=p.example.com", "-Dhttps.proxyPort=3128"];
        assert_eq!(proxy_flags("http://p.example.com:3128/"), want);
        assert_eq!(proxy_flags("http://user:word@p.example.com:3128"), want);
        assert!(proxy_flags("").is_empty());
    }
}
