//! Problems between this machine and the server.

super::entry::entries! {
    DnsFailed = "dns-failed", code REMOTE, exit REMOTE, recovery Depends,
        what "The name [{host}|of the server] could not be resolved, so no connection was made.",
        cause "This computer is offline, its DNS does not know the name, or the name is misspelled.",
        fix "Check the network connection and the host in --url. Behind a company proxy, set it with --proxy or in the configuration file: many MCP clients do not pass on variables such as HTTPS_PROXY.",
        model "The server's name[ {host}] could not be resolved, so nothing was sent. Tell the user to check the network; try again later.";
    ConnectFailed = "connect-failed", code REMOTE, exit REMOTE, recovery Depends,
        what "No connection to [{host}|the server][, port {port},] could be made, so nothing was sent.",
        cause "The server is down, or a firewall or a missing proxy setting is in the way.",
        fix "Check the network connection. Behind a company proxy, set it with --proxy or in the configuration file: many MCP clients do not pass on variables such as HTTPS_PROXY. If IPv6 does not work on your network, set --ipv4.",
        model "No connection to [{host}|the server] could be made, so nothing was sent. Try again later, and tell the user if this keeps happening.";
    ConnectTimedOut = "connect-timed-out", code REMOTE, exit REMOTE, recovery Depends,
        what "[{host}|The server] did not accept a connection[ within {seconds} s], so nothing was sent.",
        cause "The server is overloaded or down, or a firewall silently drops the connection.",
        fix "Check the network connection. Behind a company proxy, set it with --proxy or in the configuration file. If IPv6 does not work on your network, set --ipv4.",
        model "No connection to [{host}|the server] could be made in time, so nothing was sent. Try again later, and tell the user if this keeps happening.";
    TlsFailed = "tls-failed", code REMOTE, exit REMOTE, recovery Depends,
        what "The encrypted connection (TLS) to [{host}|the server] could not be set up, so nothing was sent.",
        cause "Something between this computer and the server blocks or breaks TLS, or that port does not use TLS.",
        fix "Check the host and port in --url. If the company inspects TLS, give its root certificate with --ca-file or ca_file in the configuration file.",
        model "The secure connection to [{host}|the server] failed, so nothing was sent. Tell the user; repeating does not help.";
    TlsUntrusted = "tls-untrusted", code REMOTE, exit REMOTE, recovery Settings,
        what "The certificate of [{host}|the server] is not trusted on this computer, so nothing was sent.",
        cause "The company may inspect TLS with a certificate authority of its own, or the server uses a private one.",
        fix "Ask IT for the root certificate (PEM) and give it with --ca-file FILE, or as ca_file in the configuration file. A certificate that your system trusts needs no setting.",
        model "The server's certificate is not trusted on this computer, so nothing was sent. Tell the user to ask IT about --ca-file; repeating does not help.";
    TlsExpired = "tls-expired", code REMOTE, exit REMOTE, recovery Depends,
        what "The certificate of [{host}|the server] is not valid at this time, so nothing was sent.",
        cause "The certificate has expired, or this computer's clock is wrong.",
        fix "Check this computer's date and time first. If they are right, the server's operator must renew the certificate.",
        model "The server's certificate is not valid at this time, so nothing was sent. Tell the user to check the clock of this computer.";
    TlsWrongHost = "tls-wrong-host", code REMOTE, exit REMOTE, recovery Settings,
        what "The certificate of [{host}|the server] is for another host, so nothing was sent.",
        cause "The address leads to a different server than its name says, or the operator has not put this name into the certificate.",
        fix "Compare the host in --url with the names in the certificate (see below), and use one of them. If the address is right, the server's operator must get a certificate for it. --ca-file does not help.",
        model "The server's certificate is for another host, so nothing was sent. Tell the user to compare the host in --url with the certificate's names; repeating does not help.";
    TlsAuthority = "tls-authority", code REMOTE, exit REMOTE, recovery Settings,
        what "The certificate of [{host}|the server] is that of a certificate authority, so nothing was sent.",
        cause "A self-signed certificate was made with `openssl req -x509`, which marks it as an authority (CA:TRUE) by default; a server's must not be one.",
        fix "Make another one for the server: `openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=[{name}|HOST] -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=[{san}|DNS:HOST] -keyout key.pem -out cert.pem`. Look at it with `openssl x509 -in cert.pem -noout -ext basicConstraints,subjectAltName`, then give it with --ca-file cert.pem.",
        model "The server's certificate is that of a certificate authority, so nothing was sent. Tell the user that the server needs a certificate of its own; repeating does not help.";
    ProxyFailed = "proxy-failed", code REMOTE, exit REMOTE, recovery Depends,
        what "The proxy[ {proxy}] did not connect to [{host}|the server], so nothing was sent.",
        cause "The proxy is down, requires a user name and password, or does not allow this host.",
        fix "Check the proxy in --proxy, the configuration file, or HTTPS_PROXY. List hosts that bypass the proxy in NO_PROXY.",
        model "The proxy did not let the connection through, so nothing was sent. Tell the user to check the proxy settings.";
    ProxyInvalid = "proxy-invalid", code INTERNAL_ERROR, exit USAGE, recovery Final,
        what "The proxy setting[ from {origin}] is not a valid proxy URL.",
        cause "[Expected: {expected}|Expected: a URL such as http://proxy.example:8080].",
        fix "Correct --proxy, PLANHAT_MCP_PROXY, proxy in the configuration file, or HTTPS_PROXY.",
        model "The proxy setting is wrong, so nothing can be sent. Tell the user to correct it.";
    CaFileUnusable = "ca-file-unusable", code INTERNAL_ERROR, exit USAGE, recovery Final,
        what "The file with extra certificate authorities[, {file},] cannot be used[: {detail}].",
        cause "The file is missing, not readable, or not in PEM form.",
        fix "Correct the path in --ca-file or ca_file. The file contains one or more blocks that begin with -----BEGIN CERTIFICATE-----.",
        model "The configured certificate file cannot be used, so nothing can be sent. Tell the user to correct --ca-file.";
    NoTrustRoots = "no-trust-roots", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "This system has no trusted certificate authorities, so no server can be verified[: {detail}].",
        cause "The package with the certificates is missing, or SSL_CERT_FILE or SSL_CERT_DIR points to a place that does not exist.",
        fix "Install the ca-certificates package, correct SSL_CERT_FILE, or give a PEM file with --ca-file.",
        model "The system has no trusted certificates, so nothing can be sent. Tell the user.";
    CertificateEndsSoon = "certificate-ends-soon", code REMOTE, exit REMOTE, recovery Depends,
        what "The certificate of [{host}|the server] expires [in {days} days|soon].",
        cause "Certificates are usually renewed well before they expire, so the renewal may have failed.",
        fix "Tell the server's operator, unless it renews automatically.",
        model "The server's certificate expires soon. There is nothing to do now.";
    ClockWrong = "clock-wrong", code REMOTE, exit REMOTE, recovery Depends,
        what "The clocks of this computer and of [{host}|the server] differ.[ {clock}.]",
        cause "The date, the time or the time zone of this computer is wrong, or the server's is.",
        fix "Turn on automatic date and time, then try again. With a wrong clock, certificates look expired, and signed requests and fresh tokens are refused.",
        model "This computer's clock is wrong.[ {clock}.] Tell the user to correct date and time.";
    Ipv6Unreachable = "ipv6-unreachable", code REMOTE, exit REMOTE, recovery Depends,
        what "The IPv6 addresses of [{host}|the server] cannot be reached, but its IPv4 addresses can.",
        cause "The network advertises IPv6 but does not route it, as with some routers and VPNs.",
        fix "Connections work, some of them after a delay. To avoid the delay, set --ipv4 (ipv4 = true in the configuration file).",
        model "Connections are slow because IPv6 does not work on this network. The user can set --ipv4.";
    AnswerTimedOut = "answer-timed-out", code REMOTE, exit REMOTE, recovery Later,
        what "[{host}|The server] did not answer in time[ ({seconds} s)].",
        cause "The request was sent and may still be running.",
        fix "If the request changes data, check whether it took effect before you repeat it.",
        model "The server did not answer in time. The request may have been carried out; check before repeating a change.";
    ConnectionLost = "connection-lost", code REMOTE, exit REMOTE, recovery Depends,
        what "The connection to [{host}|the server] broke before the answer arrived.",
        cause "The request had been sent, so it may have been carried out.",
        fix "If the request changes data, check whether it took effect before you repeat it.",
        model "The connection broke after the request was sent. It may have been executed; check before repeating it.";
    ServerOffline = "server-offline", code REMOTE, exit REMOTE, recovery Later,
        what "[{host}|The server] cannot be reached at the moment[: {detail}].",
        cause "The server, or the network in between, is down.",
        fix "Check the network connection. planhat-mcp tries again automatically.",
        model "The server cannot be reached at the moment. Nothing was sent; try again later.";
    AnswerTooLarge = "answer-too-large", code REMOTE, exit REMOTE, recovery Depends,
        what "The answer of [{host}|the server] is larger than the limit[ of {limit} bytes].",
        cause "The request asked for too much at once, or the URL is wrong. The request itself was probably carried out.",
        fix "If the request changes data, check before you repeat it. Ask for less at a time, or raise the limit with --max-message-bytes. If even small calls fail, check --url.",
        model "The server's answer was larger than the limit[ of {limit} bytes] and was not passed on. The call was probably carried out; check before repeating a change. When reading, ask for less at a time: filters, fewer fields, smaller pages.";
    RedirectElsewhere = "redirect-elsewhere", code REMOTE, exit REMOTE, recovery Final,
        what "[{host}|The server] redirects to another address[, {location}], which was not followed.",
        cause "The endpoint has moved, or a network login page is in the way. planhat-mcp never sends tokens to a host that you did not configure.",
        fix "If the new address is right, give it with --url.[ If the sign-in has ended, which some servers answer in this way, sign in again: `{sign_in}`.]",
        model "The server redirects elsewhere, so nothing was sent there. Tell the user to check the configured URL.[ The sign-in may have ended: if this keeps happening, tell the user to sign in again with `{sign_in}`.]";
    SignInPage = "sign-in-page", code REFUSED, exit REMOTE, recovery Depends,
        what "[{host}|The server] redirects to a sign-in page[, {location},] instead of answering, so nothing was carried out.",
        cause "The sign-in has probably ended, and this server then shows its own page. Or the address is not the MCP endpoint, or a network login page is in the way.",
        fix "Sign in again: `[{command}|planhat-mcp login]`. If that does not help, compare --url[ ({url})] with the address in the server's documentation.",
        model "The server answers with a sign-in page, so this call was not carried out. Tell the user to sign in again with `[{command}|planhat-mcp login]`.";
    RedirectInsecure = "redirect-insecure", code REMOTE, exit REMOTE, recovery Final,
        what "[{host}|The server] redirects to an address without encryption[, {location}], which was not followed.",
        cause "The server is set up wrongly, or someone is tampering with the connection. Behind a proxy that ends TLS, the server may believe that each request came over http.",
        fix "Give the https address with --url, or ask the server's operator, who sets X-Forwarded-Proto in the proxy.",
        model "The server redirects to an unencrypted address, which was refused. Tell the user.";
    NotHttpSse = "not-http-sse", code REMOTE, exit REMOTE, recovery Final,
        what "[{host}|The server] does not open an HTTP+SSE stream at this address.",
        cause "It speaks Streamable HTTP, the transport that came after, or the path is wrong: for HTTP+SSE it often ends in /sse.",
        fix "Leave --transport out, to detect the transport automatically, or give the address of the stream with --url.",
        model "The server does not speak the transport that --transport sse asks for. Ask the user to leave that setting out.";
    EndpointElsewhere = "endpoint-elsewhere", code REMOTE, exit REMOTE, recovery Final,
        what "[{host}|The server] asks for messages to be sent to another host[, {location}], which was refused.",
        cause "The server is set up wrongly, or someone is tampering with the connection: messages and tokens go only to the host that you have configured.",
        fix "If you trust that host, give its address with --url. Otherwise ask the server's operator.",
        model "The server asks for messages to be sent to another host, which was refused. Tell the user.";
    TooManyRedirects = "too-many-redirects", code REMOTE, exit REMOTE, recovery Final,
        what "[{host}|The server] redirects in circles.",
        cause "The server is set up wrongly, or the path in --url is.",
        fix "Check the path in --url, or ask the server's operator.",
        model "The server redirects in circles. Tell the user to check the configured URL.";
}
