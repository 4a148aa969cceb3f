//! https: certificates that are made at each start, so that no key lies in the repository and none runs out, and a proxy
//! that makes names of the tenant look as if they were somewhere in the world.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType,
    date_time_ymd,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::state::Tenant;

/// How a tenant speaks https.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tls {
    /// Whether it goes by names of the world, which only its own proxy finds; if not, by `localhost`.
    pub public: bool,
    /// What is wrong with its certificate.
    pub flaw: Option<Flaw>,
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It has ended.
    Expired,
    /// It is for another host.
    OtherHost,
    /// It is the certificate of the CA itself.
    Ca,
}

/// The API's name in the world.
pub(crate) const PUBLIC_API: &str = "mcp.sandbox.example";
/// The web application's.
pub(crate) const PUBLIC_WS: &str = "app.sandbox.example";
/// The longest head of a request to the proxy.
const MAX_HEAD: usize = 8 * 1024;

/// What the listeners show, and the CA to trust.
pub(crate) struct Identity {
    pub(crate) acceptor: tokio_rustls::TlsAcceptor,
    pub(crate) ca_pem: String,
}

impl Identity {
    pub(crate) fn new(tls: Tls) -> io::Result<Self> {
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, "Planhat sandbox CA");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let names = match tls.flaw {
            Some(Flaw::OtherHost) => vec!["other.sandbox.example".to_owned()],
            _ => vec!["localhost".to_owned(), PUBLIC_API.to_owned(), PUBLIC_WS.to_owned()],
        };
        let mut own = CertificateParams::new(names).map_err(io::Error::other)?;
        own.distinguished_name.push(DnType::CommonName, "Planhat sandbox");
        if tls.flaw == Some(Flaw::Expired) {
            own.not_after = date_time_ymd(2024, 2, 29);
        }
        if tls.flaw == Some(Flaw::Ca) {
            ca.subject_alt_names = own.subject_alt_names.clone();
        } else if tls.flaw.is_none() {
            own.subject_alt_names.push(SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()));
        }
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().map_err(io::Error::other)?)
            .map_err(io::Error::other)?;
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let (certificate, key) = if tls.flaw == Some(Flaw::Ca) {
            (ca.der().clone(), ca.key().serialize_der())
        } else {
            let own = own.signed_by(&key, &ca).map_err(io::Error::other)?;
            (own.der().clone(), key.serialize_der())
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key)))
            .map_err(io::Error::other)?;
        Ok(Self { acceptor: Arc::new(server).into(), ca_pem: ca.pem() })
    }
}

/// Answers CONNECT for the tenant's two names, and refuses everything else: nothing of this leaves the machine.
pub(crate) async fn proxy(tenant: Arc<Tenant>, listener: TcpListener, api: SocketAddr, ws: SocketAddr) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let tenant = tenant.clone();
        tokio::spawn(async move {
            let _ = connect(&tenant, stream, api, ws).await;
        });
    }
}

async fn connect(tenant: &Tenant, mut client: TcpStream, api: SocketAddr, ws: SocketAddr) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_HEAD {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let asked = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let address = match asked.and_then(|asked| asked.strip_suffix(":443")) {
        Some(PUBLIC_API) => api,
        Some(PUBLIC_WS) => ws,
        _ => {
            tenant.board.count(|counters| counters.proxy_refusals += 1);
            return client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
        }
    };
    let mut server = TcpStream::connect(address).await?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
