//! What each proxy is told. Two workers each; TLS 1.3, the client's certificate verified;
//! connections to the origin kept; bodies streamed; no log of each request.

use std::net::SocketAddr;
use std::path::Path;

use super::peers::Place;

/// Where Debian's libnginx-mod-http-lua is.
pub const LUA_MODULE: &str = "/usr/lib/nginx/modules/ngx_http_lua_module.so";
const NDK_MODULE: &str = "/usr/lib/nginx/modules/ndk_http_module.so";

/// The ledger in a file.
pub fn embedded(dir: &Path) -> String {
    format!("[ledger.embedded]\npath = \"{}/ledger.redb\"", dir.display())
}

/// The ledger in etcd.
pub fn etcd(address: SocketAddr) -> String {
    format!("[ledger.etcd]\nendpoints = [\"http://{address}\"]\n[ledger.session]\nreplica = \"r1\"")
}

/// With everything on: the fence, the durable mark, audit, metrics, revocation.
pub fn palisade(
    place: &Place,
    dir: &Path,
    ledger: &str,
    address: SocketAddr,
    admin: SocketAddr,
) -> String {
    let (certs, dir, origin) = (place.certs.display(), dir.display(), place.origin);
    format!(
        r#"
workers = 2
{ledger}
[admin]
listen = "{admin}"
[audit]
file = "{dir}/audit.jsonl"
[listeners.main]
protocol = "http"
listen = "{address}"
upstream = "origin"
[listeners.main.tls]
certificate = "{certs}/server.pem"
key = "{certs}/server.key"
client_ca = "{certs}/ca.pem"
crls = ["{certs}/crl.pem"]
[listeners.main.limits]
connections_per_identity_max = 10_000
[upstreams.origin]
endpoints = ["http://{origin}"]
[[resources]]
name = "bench"
path = "/bench/{{shard}}/**"
resource = "bench/{{shard}}"
read = ["leader"]
write = ["leader"]
commit_point = "last-byte"
"#
    )
}

/// HAProxy with two threads.
pub fn haproxy(place: &Place, address: SocketAddr) -> String {
    let (certs, origin) = (place.certs.display(), place.origin);
    format!(
        "global
    nbthread 2
    maxconn 4000
    ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 60s
    http-reuse always
frontend main
    bind {address} ssl crt {certs}/server-both.pem ca-file {certs}/ca.pem crl-file {certs}/crl.pem verify required alpn h2,http/1.1
    default_backend origin
backend origin
    server origin {origin}
"
    )
}

/// nginx with two workers, and with the fence that people write by hand if there is a Redis.
pub fn nginx(place: &Place, dir: &Path, address: SocketAddr, redis: Option<SocketAddr>) -> String {
    let (certs, dir, origin) = (place.certs.display(), dir.display(), place.origin);
    let load = match redis {
        None => String::new(),
        Some(_) => format!("load_module {NDK_MODULE};\nload_module {LUA_MODULE};"),
    };
    let fence = redis.map(|redis| lua(redis.port())).unwrap_or_default();
    format!(
        r#"{load}
user root root;
daemon off;
worker_processes 2;
pid {dir}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4000; }}
http {{
    access_log off;
    tcp_nodelay on;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    keepalive_requests 100000000;
    upstream origin {{
        server {origin};
        keepalive 64;
        keepalive_requests 100000000;
    }}
    server {{
        listen {address} ssl http2;
        ssl_protocols TLSv1.3;
        ssl_certificate {certs}/server.pem;
        ssl_certificate_key {certs}/server.key;
        ssl_client_certificate {certs}/ca.pem;
        ssl_crl {certs}/crl.pem;
        ssl_verify_client on;
        client_max_body_size 0;
        location / {{
            {fence}
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_request_buffering off;
            proxy_max_temp_file_size 0;
        }}
    }}
}}
"#
    )
}

/// Compare and raise in Redis, with a script, over connections that are kept.
fn lua(port: u16) -> String {
    let script = "local mark = tonumber(redis.call('GET', KEYS[1]) or '0') \
                  local token = tonumber(ARGV[1]) \
                  if token > mark then redis.call('SET', KEYS[1], token) end \
                  if token >= mark then return 1 end return 0";
    format!(
        r#"access_by_lua_block {{
                if ngx.req.get_method() == "GET" then return end
                local token = ngx.var.http_fencing_token
                local shard = ngx.var.uri:match("^/bench/([^/]+)/")
                if not token or not shard then return ngx.exit(428) end
                local key = "mark:" .. shard
                local script = [[{script}]]
                local redis = ngx.socket.tcp()
                redis:settimeouts(1000, 1000, 1000)
                if not redis:connect("127.0.0.1", {port}) then return ngx.exit(503) end
                local function bulk(text) return "$" .. #text .. "\r\n" .. text .. "\r\n" end
                redis:send("*5\r\n" .. bulk("EVAL") .. bulk(script) .. bulk("1")
                    .. bulk(key) .. bulk(token))
                local reply = redis:receive()
                redis:setkeepalive(60000, 64)
                if reply ~= ":1" then return ngx.exit(412) end
            }}"#
    )
}

/// Envoy with two workers.
pub fn envoy(place: &Place, address: SocketAddr) -> String {
    let (certs, origin) = (place.certs.display(), place.origin);
    let at = |address: SocketAddr| {
        format!("{{socket_address: {{address: 127.0.0.1, port_value: {}}}}}", address.port())
    };
    format!(
        r#"
static_resources:
  listeners:
  - address: {listen}
    filter_chains:
    - transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: true
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_params: {{tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3}}
            tls_certificates:
            - {{certificate_chain: {{filename: "{certs}/server.pem"}}, private_key: {{filename: "{certs}/server.key"}}}}
            validation_context: {{trusted_ca: {{filename: "{certs}/ca.pem"}}, crl: {{filename: "{certs}/crl.pem"}}}}
      filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: main
          generate_request_id: false
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{match: {{prefix: "/"}}, route: {{cluster: origin, timeout: 0s}}}}]
          http_filters:
          - name: router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: origin
    type: STATIC
    circuit_breakers: {{thresholds: [{{max_connections: 10000, max_pending_requests: 10000, max_requests: 10000}}]}}
    load_assignment:
      cluster_name: origin
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {upstream}}}}}]}}]
"#,
        listen = at(address),
        upstream = at(origin),
    )
}
