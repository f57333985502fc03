/** Limits of operating a node: configuration, log messages, metrics, the operator's port. */

/**
 * Minimum interval of sampling the process's memory, ms: a burst of registrations adds at most 100
 * MB in it.
 */
export const MEMORY_SAMPLE_MS = 250;
/** Configuration file: a real one has some twenty lines. */
export const CONFIG_FILE_BYTES_MAX = 64 * 1024;
/** Characters of an invalid value shown in a configuration error. */
export const CONFIG_FOUND_CHARACTERS_MAX = 64;
/** Causes logged per error; longer chains are cut. */
export const LOG_ERROR_CAUSES_MAX = 4;
/** Regions with their own metrics; records of further ones are summed. */
export const METRICS_REGIONS_MAX = 256;
/** Places under which caught errors are counted; further ones are summed. */
export const METRICS_ERROR_STAGES_MAX = 64;
/** Request line and headers of an operator's request; a scrape sends some 300 bytes. */
export const OPS_HEADER_BYTES_MAX = 8 * 1024;
/** Timeout of receiving an operator's request, ms, and of an idle connection. */
export const OPS_REQUEST_MS_MAX = 5_000;
export const OPS_IDLE_MS_MAX = 30_000;
/** Interval of checking these timeouts, ms. */
export const OPS_CHECK_MS = 1_000;
/**
 * File descriptors that TLS connections leave free: for 64 connections of the operator's port, 64
 * connections that are only refused, segments and images of the log, timers and modules of the
 * runtime.
 */
export const DESCRIPTORS_KEPT = 256;
/** File descriptors that a node needs without any connection: an idle one has some 40 open. */
export const DESCRIPTORS_OF_NODE = 64;
/** Connections of the operator's port: a scraper, a probe and some people at the same time. */
export const OPS_CONNECTIONS_MAX = 64;
/** The time for which a start that was stopped waits for its log to close, ms. */
export const STOPPED_START_CLOSE_MS = 1_000;
