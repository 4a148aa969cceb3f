//! Owns how the network is reached: the client (trust roots, proxy, time-outs), what a failed exchange is called, when
//! to try again, and the gate that a 429 closes.
