//! RESP2 and RESP3 on the wire: requests, replies, and what Palisade writes itself.
