/**
 * TLS over TCP with client certificates verified by TLS itself, for networks that block UDP and for
 * tools without QUIC. Its sessions and streams are those of every other transport.
 */
export { type ClientCertificate, TlsDialer, type TlsDialerOptions } from "./tls_dialer.ts";
export { listenTls, type TlsListenOptions } from "./tls_listener.ts";
