//! RESP2 and RESP3 codec, sans-IO: request decoder, reply encoder, reply decoder.

#![forbid(unsafe_code)]
