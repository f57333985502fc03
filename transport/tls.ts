/**
 * TLS over TCP, with client certificates that TLS itself checks: where UDP is blocked, and for tools
 * that bring no QUIC. The same sessions and streams as every other transport.
 */
export { type ClientCertificate, TlsDialer, type TlsDialerOptions } from "./tls_dialer.ts";
export { listenTls, type TlsListenOptions } from "./tls_listener.ts";
