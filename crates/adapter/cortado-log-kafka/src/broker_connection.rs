//! A connection of our own to a broker, for what librdkafka does not ask: TCP, TLS if brokers are
//! spoken to over that, and SASL if there is a user.
//!
//! Start reading at [`BrokerDoor::open`].

use crate::scram::Scram;
use crate::security::{KafkaSasl, KafkaSecurity, KafkaTls, OwnCertificate, SaslMechanism};
use data_encoding::HEXLOWER;
use ring::rand::{SecureRandom, SystemRandom};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Comes back with the answer.
const CORRELATION: i32 = 0x0C0F_FEE0;
const CORRELATION_BYTES: usize = 4;
/// Of an answer: the first batch comes whole, however long it is.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// SaslHandshake and SaslAuthenticate, and the versions in which they are spoken.
const HANDSHAKE: (i16, i16) = (17, 1);
const AUTHENTICATE: (i16, i16) = (36, 0);
/// Where systems keep the authorities that they trust.
const SYSTEM_AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A request.
pub(crate) struct Question {
    /// Which, and in what version.
    pub(crate) api: (i16, i16),
    /// All behind the header.
    pub(crate) body: Vec<u8>,
}

/// How connections are made.
pub(crate) struct BrokerDoor {
    tls: Option<TlsConnector>,
    sasl: Option<KafkaSasl>,
}

/// A connection on which questions can be asked.
pub(crate) struct BrokerConnection {
    stream: Box<dyn Stream>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl BrokerDoor {
    /// Reads what proves who is who.
    ///
    /// # Errors
    /// A file cannot be read or used.
    pub(crate) fn new(security: &KafkaSecurity) -> io::Result<BrokerDoor> {
        let tls = security.tls.as_ref().map(connector).transpose()?;
        Ok(BrokerDoor { tls, sasl: security.sasl.clone() })
    }

    /// Connects to the broker at an address, and proves who this is.
    ///
    /// # Errors
    /// It cannot be reached, is another one, or refuses the user.
    pub(crate) async fn open(&self, address: (&str, u16)) -> io::Result<BrokerConnection> {
        let tcp = TcpStream::connect(address).await?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(tcp),
            Some(tls) => {
                let name = ServerName::try_from(address.0.to_owned()).map_err(io::Error::other)?;
                Box::new(tls.connect(name, tcp).await?)
            }
        };
        let mut connection = BrokerConnection { stream };
        if let Some(sasl) = &self.sasl {
            connection.prove(sasl).await?;
        }
        Ok(connection)
    }
}

impl BrokerConnection {
    /// Asks a question; answers what comes behind the header.
    ///
    /// # Errors
    /// The connection breaks, or something else is answered.
    pub(crate) async fn ask(&mut self, question: &Question) -> io::Result<Vec<u8>> {
        self.stream.write_all(&framed(question)?).await?;
        self.stream.flush().await?;
        let length = usize::try_from(self.stream.read_u32().await?).map_err(io::Error::other)?;
        if !(CORRELATION_BYTES..=ANSWER_BYTES_MAX).contains(&length) {
            return Err(malformed());
        }
        if self.stream.read_i32().await? != CORRELATION {
            return Err(malformed());
        }
        let mut answer = vec![0; length - CORRELATION_BYTES];
        self.stream.read_exact(&mut answer).await?;
        Ok(answer)
    }

    async fn prove(&mut self, sasl: &KafkaSasl) -> io::Result<()> {
        let KafkaSasl { mechanism, user, password } = sasl;
        let mut body = Vec::new();
        put_text(&mut body, mechanism.name())?;
        let answer = self.ask(&Question { api: HANDSHAKE, body }).await?;
        let code = take_number::<2>(&mut answer.as_slice()).map(i16::from_be_bytes);
        if code != Some(0) {
            let why = format!("the broker does not take the SASL mechanism {}", mechanism.name());
            return Err(io::Error::other(why));
        }
        if *mechanism == SaslMechanism::Plain {
            let shown = format!("\0{user}\0{}", password.reveal());
            return self.show(shown.as_bytes()).await.map(drop);
        }
        let mut random = [0; 16];
        SystemRandom::new().fill(&mut random).map_err(|_| io::Error::other("no random numbers"))?;
        let nonce = HEXLOWER.encode(&random);
        let begun = Scram::begin(*mechanism, user, password.reveal(), nonce);
        let (scram, first) = begun.ok_or_else(malformed)?;
        let server_first = self.show(first.as_bytes()).await?;
        let (last, proof) = scram.answer(&server_first).ok_or_else(malformed)?;
        let server_final = self.show(last.as_bytes()).await?;
        if proof.is_shown(&server_final) {
            Ok(())
        } else {
            Err(io::Error::other("the broker does not know the user's password itself"))
        }
    }

    /// Shows one part of a proof; answers what the broker shows for it.
    async fn show(&mut self, part: &[u8]) -> io::Result<String> {
        let length = i32::try_from(part.len()).map_err(io::Error::other)?;
        let body = [&length.to_be_bytes()[..], part].concat();
        let answer = self.ask(&Question { api: AUTHENTICATE, body }).await?;
        let (code, why, shown) = read_shown(&answer).ok_or_else(malformed)?;
        if code != 0 {
            // What the broker says of it names neither the password nor whether there is the user.
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        Ok(shown)
    }
}

/// The code, what is said of it, and what is shown.
fn read_shown(mut answer: &[u8]) -> Option<(i16, String, String)> {
    let answer = &mut answer;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = take_number::<2>(answer).map(i16::from_be_bytes)?;
    // Below 0 is none.
    let length = take_number::<2>(answer).map(i16::from_be_bytes)?;
    let why = text(take(answer, usize::try_from(length.max(0)).ok()?)?);
    let length = take_number::<4>(answer).map(i32::from_be_bytes)?;
    let shown = text(take(answer, usize::try_from(length.max(0)).ok()?)?);
    Some((code, why, shown))
}

fn connector(KafkaTls { ca_file, own }: &KafkaTls) -> io::Result<TlsConnector> {
    let authorities = ca_file.clone().or_else(system_authorities);
    let authorities = authorities.ok_or_else(|| {
        io::Error::other("this machine has no list of authorities: set ssl.ca.location")
    })?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&authorities)? {
        // A list of a system may hold one that is too old to be understood.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        let why = format!("{} holds no authority", authorities.display());
        return Err(io::Error::other(why));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    let config = config.with_root_certificates(roots);
    let config = match own {
        None => config.with_no_client_auth(),
        Some(OwnCertificate { certificate_file, key_file }) => {
            let key = PrivateKeyDer::from_pem_file(key_file).map_err(unread(key_file))?;
            let chain = certificates(certificate_file)?;
            config.with_client_auth_cert(chain, key).map_err(io::Error::other)?
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn system_authorities() -> Option<PathBuf> {
    SYSTEM_AUTHORITIES.iter().map(PathBuf::from).find(|path| path.is_file())
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_file_iter(path).map_err(unread(path))?;
    found.collect::<Result<_, _>>().map_err(unread(path))
}

fn unread<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> io::Error {
    let shown = path.display().to_string();
    move |error| io::Error::other(format!("{shown}: {error}"))
}

fn framed(question: &Question) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    request.extend(question.api.0.to_be_bytes());
    request.extend(question.api.1.to_be_bytes());
    request.extend(CORRELATION.to_be_bytes());
    put_text(&mut request, "cortado")?;
    request.extend(&question.body);
    let length = i32::try_from(request.len()).map_err(io::Error::other)?;
    Ok([&length.to_be_bytes()[..], &request].concat())
}

/// A text as the protocol spells it.
pub(crate) fn put_text(body: &mut Vec<u8>, text: &str) -> io::Result<()> {
    let length = i16::try_from(text.len()).map_err(io::Error::other)?;
    body.extend(length.to_be_bytes());
    body.extend(text.as_bytes());
    Ok(())
}

/// The next bytes; `None` if there are not so many.
pub(crate) fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

/// The bytes of the next number.
pub(crate) fn take_number<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    take(bytes, N)?.try_into().ok()
}

/// The answer is not one of the protocol.
pub(crate) fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the broker's answer is malformed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_broker_shows_is_read_whole_or_not_at_all() {
        let mut answer = 58_i16.to_be_bytes().to_vec();
        put_text(&mut answer, "no").unwrap();
        answer.extend(3_i32.to_be_bytes());
        answer.extend(b"abc");
        let want = (58, "no".to_owned(), "abc".to_owned());
        assert_eq!(read_shown(&answer), Some(want));
        for end in 0..answer.len() {
            assert_eq!(read_shown(&answer[..end]), None, "{end}");
        }
        // Nothing said, nothing shown.
        let nothing = [0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
        assert_eq!(read_shown(&nothing), Some((0, String::new(), String::new())));
    }
}
