using Penstock.Control.Config;
using Xunit;

namespace Penstock.UnitTests.Config;

/// <summary>Every diagnostic: severity, line:column+length, message | hint | path.</summary>
public sealed class ConfigDiagnosticsTests
{
    private const string NoUnit = "'5' has no unit | write 5s or 5000ms";
    private const string NoDuration = "is not a duration | write 500ms, 5s, 2m or 1h";

    [Fact]
    public void Five_mistakes_are_five_diagnostics_each_in_its_place() => Assert.Equal(
        [
            "error 1:22+1 connect: '5' has no unit | write 5s or 5000ms | timeouts.connect",
            "error 5:14+12 balance: unknown value 'round_robbin' | did you mean 'round_robin'? | upstreams.web.balance",
            "error 8:39+6 unknown key 'weigth' | did you mean 'weight'? | upstreams.web.backends[1]",
            "error 9:9+14 duplicate backend '127.0.0.1:9001' | the first is on line 7 | upstreams.web.backends[2]",
            "error 11:30+3 upstream: no upstream is named 'wbe' | did you mean 'web'? | routes[0].upstream",
        ],
        ConfigText.Faults("""
            timeouts: { connect: 5 }
            limits: { default: { capacity: 100, rate: 10/s } }
            upstreams:
              web:
                balance: round_robbin
                backends:
                  - http://127.0.0.1:9001
                  - { url: http://127.0.0.1:9002, weigth: 3 }
                  - 127.0.0.1:9001
            routes:
              - { path: /v1/*, upstream: wbe }
            """));

    [Theory]
    [InlineData("weigth: 3", "5:1+6 unknown key 'weigth' | known keys: listen, backends, balance, hash, sticky, "
        + "slow_start, retries, queue, hedge, health_check, passive_health, send_proxy, limits, limit, upstreams, "
        + "routes, clients, limit_fields, errors, timeouts, bounds, loops, access_log, log, admin, store, tls, plans, "
        + "watch, $schema | ")]
    [InlineData("lisen: 1", "5:1+5 unknown key 'lisen' | did you mean 'listen'? | ")]
    [InlineData("listen: 1\nlisten: 2", "6:1+6 duplicate key 'listen' | the first is on line 5 | ")]
    [InlineData("access_log: off\naccess-log: off", "6:1+10 duplicate key 'access-log' | the first is on line 5 | ")]
    [InlineData("listen: [1, x]", "5:13+1 listen: 'x' has no port from 0 to 65535 | write host:port | listen[1]")]
    [InlineData("listen: [1, \":1\"]", "5:13+4 duplicate listener '[::]:1' | the first is on line 5 | listen[1]")]
    [InlineData("listen: []", "5:1+6 'listen' has no address | write 0.0.0.0:8080, or leave it out | listen")]
    [InlineData("listen:", "5:1+6 'listen' has no address | write 0.0.0.0:8080, or leave it out | listen")]
    [InlineData("listen: { port: 1 }", "5:1+6 listen: expected a list, found a mapping "
        + "| write [one, other], or one item in each line, after '- ' | listen")]
    [InlineData("listen: [[1]]", "5:10+1 listen: expected a value, found a list "
        + "| write one value behind 'listen:' | listen[0]")]
    [InlineData("loops: 0",
        "5:8+1 loops: '0' is not a number of loops | write auto, or a number from 1 to 1024 | loops")]
    [InlineData("loops:", "5:1+5 'loops' has no value | write one, or remove the key | loops")]
    [InlineData("access_log: stdot", "5:13+5 access_log: unknown value 'stdot' | did you mean 'stdout'? | access_log")]
    [InlineData("access_log: sylog:udp://h", "5:13+13 access_log: unknown value 'sylog:udp://h' | write stdout or "
        + "off or /path or syslog:udp://host:514 | access_log")]
    [InlineData("access_log: syslog:tcp://h", "5:13+14 access_log: 'syslog:tcp://h' is not a syslog target | write "
        + "syslog:unix:/dev/log or syslog:udp://host:514 | access_log")]
    [InlineData("access_log: syslog:udp://h:0", "5:13+16 access_log: 'syslog:udp://h:0' does not name a server | write "
        + "syslog:unix:/dev/log or syslog:udp://host:514 | access_log")]
    [InlineData("access_log: { format: jsn }",
        "5:23+3 format: unknown format 'jsn' | did you mean 'json'? | access_log.format")]
    [InlineData("access_log: { format: '%h %l' }", "5:23+7 format: unknown format '%h %l' | write json, combined, or a "
        + "text with variables such as $status | access_log.format")]
    [InlineData("access_log: { format: '$methd $status' }",
        "5:23+16 format: no variable is named '$methd' | did you mean 'method'? | access_log.format")]
    [InlineData("access_log: { format: \"$path\\nx\" }",
        "5:23+10 format: a line cannot have line breaks or control characters | write a space or a tab instead | "
        + "access_log.format")]
    [InlineData("access_log: { format: $path$path$path$path$host$host }", "5:23+30 format: a line could have 73741 "
        + "bytes, more than 65536 | use fewer variables | access_log.format")]
    [InlineData("access_log: { only: { status: 600 } }", "5:31+3 status: '600' is not a status | write 204, 200-299 or "
        + "2xx, from 100 to 599 | access_log.only.status")]
    [InlineData("access_log: { sample: { 429: 100 } }", "5:30+3 429: '100' is not a share of the requests | write "
        + "1/2 to 1/1000000 | access_log.sample.429")]
    [InlineData("access_log: { sample: { 4xx: 1/9, 400-499: 1/8 } }",
        "5:44+3 duplicate status '400-499' | the first is on line 5 | access_log.sample.400-499")]
    [InlineData("access_log: { sample: { any: 1/9 } }", "5:25+3 'any' is not a status | write 204, 200-299 or 2xx, "
        + "from 100 to 599 | access_log.sample")]
    [InlineData("log: { level: inf }", "5:15+3 level: unknown value 'inf' | did you mean 'info'? | log.level")]
    [InlineData("store: redis", "5:8+5 store: this is not a store | "
        + "write sqlite:PATH, postgres://user:password@host:5432/database or memory | store")]
    [InlineData("store: \"postgres://u:p@h:0/d\"", "5:8+22 store: the port in the PostgreSQL address is not a number "
        + "from 1 to 65535 | write postgres://user:password@host:5432/database | store")]
    [InlineData("backends: [b:1]", "5:1+8 'backends' at the top is for a single upstream; it cannot be used with "
        + "'upstreams' | move it into an entry of 'upstreams' | backends")]
    [InlineData("balance: random", "5:10+6 'balance' at the top is for a single upstream; it cannot be used with "
        + "'upstreams' | move it into an entry of 'upstreams' | balance")]
    public void Top_level_fault_is_reported(string lines, string expected) => Only("error " + expected, Full(lines));

    [Theory]
    [InlineData("a: { capacity: 0, rate: 1/s }",
        "16+1 capacity: '0' must be from 1 to 1000000000 |  | limits.a.capacity")]
    [InlineData("a: { capacity: x, rate: 1/s }", "16+1 capacity: 'x' is not a whole number |  | limits.a.capacity")]
    [InlineData("a: { capacity: 1, rate: 10 }", "25+2 rate: '10' has no unit | write 10/s | limits.a.rate")]
    [InlineData("a: { capacity: 1 }", "1+1 missing 'rate' | write rate: 10/s | limits.a")]
    [InlineData("a: { rate: 1/s }", "1+1 missing 'capacity' | write capacity: 100 | limits.a")]
    [InlineData("a: 10/s", "4+4 a: expected { capacity, rate }, found a value "
        + "| write a: { capacity: 100, rate: 10/s } | limits.a")]
    [InlineData("a b: { capacity: 1, rate: 1/s }",
        "1+3 'a b' is not a name | use up to 64 letters, digits, '-', '_' and '.' | limits")]
    [InlineData("rate: 1/s", "7+3 a limit needs a name | write default: { capacity: 100, rate: 10/s } | limits.rate")]
    public void Limit_fault_is_reported(string line, string expected)
    {
        string text = $"backends: [a:1]\nlimits:\n\n {line}\n default: {{ capacity: 1, rate: 1/s }}";
        int column = int.Parse(expected[..expected.IndexOf('+')]) + 1;
        Only($"error 4:{column}{expected[expected.IndexOf('+')..]}", text);
    }

    [Fact]
    public void Limit_defined_twice_is_reported() => Only(
        "error 4:2+7 duplicate key 'default' | the first is on line 3 | limits",
        "backends: [a:1]\nlimits:\n default: { capacity: 1, rate: 1/s }\n default: { capacity: 1, rate: 1/s }");

    [Theory]
    [InlineData("url: x", "8+1 url: 'x' has no port from 0 to 65535 | write host:port | backends[0].url")]
    [InlineData("url: ftp://x", "8+7 url: 'ftp://x' is not an http:// or https:// address "
        + "| write http://host:port | backends[0].url")]
    [InlineData("weight: 1", "3+6 missing 'url' | write url: http://10.0.0.5:8080 | backends[0]")]
    [InlineData("{ url: a:1, weight: 0 }",
        "23+1 weight: '0' is not a whole number from 1 to 256 |  | backends[0].weight")]
    [InlineData("{ url: a:1, weight: 257 }",
        "23+3 weight: '257' is not a whole number from 1 to 256 |  | backends[0].weight")]
    [InlineData("{ url: a:1, backup: maybe }", "23+5 backup: 'maybe' is not true or false |  | backends[0].backup")]
    [InlineData("{ url: a:1, max_connections: -1 }",
        "32+2 max_connections: '-1' is not a whole number from 0 to 1000000 |  | backends[0].max_connections")]
    [InlineData("{ url: a:1, max_conections: 1 }",
        "15+14 unknown key 'max_conections' | did you mean 'max_connections'? | backends[0]")]
    [InlineData("{ url: a:1, slots: 1 }",
        "15+5 unknown key 'slots' | known keys: url, weight, max_connections, backup | backends[0]")]
    [InlineData("[a:1]", "3+1 backend: expected an address or a mapping, found a list "
        + "| write http://127.0.0.1:9003, or a mapping with url | backends[0]")]
    [InlineData("app", "3+3 backend: 'app' has no port from 0 to 65535 | write host:port | backends[0]")]
    public void Backend_fault_is_reported(string line, string expected) =>
        Only("error 2:" + expected, $"backends:\n- {line}");

    [Theory]
    [InlineData("{}",
        "1:1+12 missing 'path' | write path: /health, or type: tcp for a check that only connects "
        + "| health_check")]
    [InlineData("{ path: health }", "1:23+6 path: 'health' is not a path | write /health | health_check.path")]
    [InlineData("{ path: \"/a b\" }", "1:23+6 path: '/a b' is not a path | write /health | health_check.path")]
    [InlineData("{ type: tcp, path: / }",
        "1:34+1 a tcp check has no 'path' | remove it, or write type: http | health_check.path")]
    [InlineData("{ type: udp }", "1:23+3 type: unknown value 'udp' | write http or tcp | health_check.type")]
    [InlineData("{ path: /, interval: 5 }", "1:36+1 interval: " + NoUnit + " | health_check.interval")]
    [InlineData("{ path: /, timeout: x }", "1:35+1 timeout: 'x' " + NoDuration + " | health_check.timeout")]
    [InlineData("{ path: /, rise: 0 }", "1:32+1 rise: '0' is not a whole number from 1 to 1000 |  | health_check.rise")]
    [InlineData("{ path: /, fall: x }", "1:32+1 fall: 'x' is not a whole number from 1 to 1000 |  | health_check.fall")]
    [InlineData("http", "1:15+4 health_check: expected a mapping, 'tcp' or 'off', found a value "
        + "| write { path: /health } | health_check")]
    public void Health_check_fault_is_reported(string value, string expected) =>
        Only("error " + expected, $"health_check: {value}\nbackends: [a:1]");

    [Theory]
    [InlineData("{ host: \"a:1\", upstream: web }",
        "11+5 host: 'a:1' is not a host name | write example.com or *.example.com, without a port | routes[1].host")]
    [InlineData("{ path: v1, upstream: web }",
        "11+2 path: 'v1' is not a path | write /exact or /prefix/* | routes[1].path")]
    [InlineData("{ path: /a*b, upstream: web }",
        "11+4 path: '/a*b' is not a path | write /exact or /prefix/* | routes[1].path")]
    [InlineData("{ method: \"G T\", upstream: web }",
        "13+5 method: 'G T' is not a method | write GET or POST | routes[1].method")]
    [InlineData("{ path: / }", "3+1 missing 'upstream' | write upstream: NAME | routes[1]")]
    [InlineData("{ path: /, upstream: wbe }",
        "24+3 upstream: no upstream is named 'wbe' | did you mean 'web'? | routes[1].upstream")]
    [InlineData("{ path: /, upstream: other }",
        "24+5 upstream: no upstream is named 'other' | known upstreams: web | routes[1].upstream")]
    [InlineData("{ path: /, upstream: web, limit: slow }",
        "36+4 limit: no limit is named 'slow' | there is no limit | routes[1].limit")]
    [InlineData("web", "3+3 routes: expected a mapping, found a value "
        + "| write { path: /v1/*, upstream: NAME } | routes[1]")]
    public void Route_fault_is_reported(string line, string expected) => Only("error 4:" + expected,
        $"upstreams: {{ web: {{ backends: [\"a:1\"] }} }}\nroutes:\n- {{ upstream: web }}\n- {line}");

    [Theory]
    [InlineData("identify: [adress]",
        "14+6 identify: 'adress' does not identify a client | did you mean 'address'? | clients.identify[0]")]
    [InlineData("identify: []", "3+8 'identify' is empty | write [address], or leave it out | clients.identify")]
    [InlineData("unknown: owm", "12+3 unknown: unknown value 'owm' | did you mean 'own'? | clients.unknown")]
    [InlineData("trusted_proxies: [10.0.0.0/8, x]",
        "33+1 trusted_proxies: 'x' is not a network | write 10.0.0.0/8 or one address | clients.trusted_proxies[1]")]
    [InlineData("trusted_proxies: 010.0.0.1", "20+9 trusted_proxies: '010.0.0.1' is not a network | "
        + "write 10.0.0.0/8 or one address | clients.trusted_proxies")]
    [InlineData("trusted_proxies: 42", "20+2 trusted_proxies: '42' is not a network | "
        + "write 10.0.0.0/8 or one address | clients.trusted_proxies")]
    [InlineData("trusted_proxies: 10.0.0.1/8", "20+10 trusted_proxies: '10.0.0.1/8' has bits set beyond its prefix | "
        + "write 10.0.0.0/8 | clients.trusted_proxies")]
    [InlineData("exempt: \"2001:DB8::/40000\"", "11+18 exempt: '2001:DB8::/40000' is not a network | "
        + "write 10.0.0.0/8 or one address | clients.exempt")]
    [InlineData("exempt: \"a\\u200bb\"", "11+10 exempt: 'a\u200bb' must hold printable characters only | "
        + "write an address, a network or a client id | clients.exempt")]
    [InlineData("ipv6_prefix: 129",
        "16+3 ipv6_prefix: '129' is not a whole number from 1 to 128 |  | clients.ipv6_prefix")]
    [InlineData("max_tracked: 0",
        "16+1 max_tracked: '0' is not a whole number from 1 to 100000000 |  | clients.max_tracked")]
    public void Clients_fault_is_reported(string line, string expected) =>
        Only("error 3:" + expected, $"backends: [a:1]\nclients:\n  {line}");

    [Theory]
    [InlineData("memory")]
    [InlineData("postgres://u:p@db/x")]
    public void Buckets_to_be_saved_in_a_store_that_cannot_are_reported(string store) => Only(
        "error 2:8+" + store.Length + " clients.save_unregistered needs a store in a SQLite file | write store: "
            + "sqlite:PATH, or leave save_unregistered out | store",
        $"backends: [a:1]\nstore: {store}\nclients: {{ save_unregistered: true }}");

    [Theory]
    [InlineData("connect")]
    [InlineData("head")]
    [InlineData("response")]
    [InlineData("idle")]
    [InlineData("shutdown")]
    public void Timeout_without_unit_is_reported(string key) =>
        Only($"error 3:{key.Length + 5}+1 {key}: {NoUnit} | timeouts.{key}", $"backends: [a:1]\ntimeouts:\n  {key}: 5");

    [Theory]
    [InlineData("{ listen: 0.0.0.0:9800 }", "18+12 admin on 0.0.0.0:9800 needs a token: otherwise everybody who "
        + "reaches it can change limits | set admin.token or admin.tokens, or listen on 127.0.0.1 | admin.listen")]
    [InlineData("{ listen: 127.0.0.1:70 }",
        "1+5 admin and a listener cannot share 127.0.0.1:70 | give one of them another port | admin")]
    [InlineData("on", "8+2 admin: expected a mapping or 'off', found a value "
        + "| write admin: { listen: 127.0.0.1:9800 } | admin")]
    public void Admin_fault_is_reported(string value, string expected) =>
        Only("error 1:" + expected, $"admin: {value}\nbackends: [a:1]\nlisten: 127.0.0.1:70");

    [Theory]
    [InlineData("", "1:1+1 no backends | write 'backends: [127.0.0.1:9001]', or 'upstreams' | ")]
    [InlineData("listen: 80", "1:1+1 no backends | write 'backends: [127.0.0.1:9001]', or 'upstreams' | ")]
    [InlineData("balance: random", "1:1+1 no backends | write 'backends: [127.0.0.1:9001]', or 'upstreams' | ")]
    [InlineData("backends: []", "1:1+8 'backends' is empty: no server can get the requests "
        + "| write backends: [127.0.0.1:9001] | backends")]
    [InlineData("backends:", "1:1+8 'backends' is empty: no server can get the requests "
        + "| write backends: [127.0.0.1:9001] | backends")]
    [InlineData("upstreams: { web: { } }",
        "1:14+3 missing 'backends' | write backends: [http://10.0.0.5:8080] | upstreams.web")]
    [InlineData("upstreams: { web: a:1 }", "1:19+3 web: expected a mapping, found a value "
        + "| write web: { backends: [http://10.0.0.5:8080] } | upstreams.web")]
    [InlineData("upstreams:",
        "1:1+9 no upstreams | write 'upstreams: { web: { backends: [127.0.0.1:9001] } }' | upstreams")]
    [InlineData("upstreams: { a: { backends: [\"a:1\"] }, b: { backends: [\"b:1\"] } }",
        "1:1+9 2 upstreams but no routes | write 'routes' to say which requests go where | upstreams")]
    [InlineData("backends: [a:1]\nroutes: [{ upstream: web }]", "1:1+8 'backends' at the top is for a single upstream; "
        + "it cannot be used with 'routes' | move it into an entry of 'upstreams' | backends")]
    [InlineData("- a", "1:1+1 the file: expected keys such as 'listen' and 'backends', found a list "
        + "| write backends: [127.0.0.1:9001] | ")]
    public void Missing_part_is_reported(string text, string expected) => Only("error " + expected, text);

    [Theory]
    [InlineData("backends: [a:1]\n\tlisten: 80", "2:1+1 a tab is used for indentation | YAML indents with spaces | ")]
    [InlineData("a:\n  \t- 1\n\t- 2",
        "2:3+1 a tab is used for indentation (and 1 more such line) | YAML indents with spaces | ")]
    [InlineData("backends: [a:1\nlisten: 80",
        "2:1+1 not valid YAML: a key is not allowed here | is the bracket closed that opens at 1:11? | ")]
    [InlineData("backends: [a:1", "1:15+1 not valid YAML: while parsing a flow sequence, did not find expected "
        + "',' or ']' | is the bracket closed that opens at 1:11? | ")]
    [InlineData("backends: [a:1]\n loops: 1",
        "2:2+1 not valid YAML: while parsing a block mapping, did not find expected key "
        + "| this line is indented by 1: write 0, as the lines before it | ")]
    [InlineData("backends: *x", "1:11+2 not valid YAML: there is no anchor '&x' before this alias "
        + "| put quotes around a value that begins with *, or define the anchor first | ")]
    [InlineData("backends: [a:1]\n---\na: 1",
        "2:1+3 a second document begins here | a configuration is one YAML document | ")]
    [InlineData("[a]: 1\nbackends: [a:1]", "1:1+1 not valid YAML: a key must be a plain word |  | ")]
    public void Yaml_fault_is_reported_in_its_place(string text, string expected) => Only("error " + expected, text);

    [Theory]
    [InlineData("{ \"backends\": [\"a:1\" \"b:1\"] }",
        "1:22+1 not valid JSON: '\"' is invalid after a value. Expected either ',', '}', or ']' |  | ")]
    [InlineData("{\n \"backends\": [\"a:1\"]\n} x",
        "3:3+1 not valid JSON: 'x' is invalid after a single JSON value. Expected end of data |  | ")]
    [InlineData("{ \"store\": \"\\ud800\" }", "1:12+8 not valid JSON: the string is not valid Unicode |  | ")]
    [InlineData("{ \"backends\": [\"a:1\"],\n /* é */ \"loops\": \"ü\" }",
        "2:19+3 loops: 'ü' is not a number of loops | write auto, or a number from 1 to 1024 | loops")]
    [InlineData("{ \"backends\": [\"a:1\"], \"loops\": null }",
        "1:24+7 'loops' has no value | write one, or remove the key | loops")]
    [InlineData("{ \"backends\": [\"a:1\"], \"lops\": 1 }", "1:24+6 unknown key 'lops' | did you mean 'loops'? | ")]
    [InlineData("{ \"backends\": [\"a:1\"], \"loops\": 1, \"Loops\": 1 }",
        "1:36+7 duplicate key 'Loops' | the first is on line 1 | ")]
    public void Json_fault_is_reported_in_its_place(string text, string expected) =>
        Only("error " + expected, text, "penstock.json");

    [Theory]
    [InlineData("upstreams: { a: { backends: [\"a:1\"] }, b: { backends: [\"b:1\"] } }\nroutes: [{ upstream: a }]",
        "1:40+1 no route uses upstream 'b': it receives no requests "
        + "| add a route with upstream: b, or remove the upstream | upstreams.b")]
    [InlineData("upstreams: { a: { backends: [\"a:1\"] } }\nroutes:\n- upstream: a\n- { path: /*, upstream: a }",
        "4:3+1 this route never matches: the one on line 3 takes the same requests "
        + "| remove one of the two | routes[1]")]
    [InlineData("backends: [a:1]\nhealth_check: { path: /, interval: 1s, timeout: 2s }",
        "2:49+2 the timeout is longer than the interval: a backend that does not answer is checked less often than "
        + "every interval |  | health_check.timeout")]
    [InlineData("backends: [a:1]\nhealth_check: { path: /, interval: 500ms }",
        "2:36+5 the timeout is longer than the interval: a backend that does not answer is checked less often than "
        + "every interval |  | health_check.interval")]
    [InlineData("backends: [a:1]\nlimits: { api: { capacity: 1, rate: 1/s } }",
        "2:1+6 no limit is named 'default': where a route names none, only registered clients are limited "
        + "| name one of them default, or name limits in the routes | limits")]
    [InlineData("backends: [a:1]\nclients: { identify: [address, query:id] }",
        "2:32+8 every request has an address, so sources after 'address' are never used "
        + "| move 'address' to the end, or remove what follows it | clients.identify[1]")]
    public void Warning_states_the_consequence_and_leaves_the_configuration(string text, string expected)
    {
        Only("warning " + expected, text);
        Assert.NotNull(ConfigText.Parse(text).Config);
    }

    [Fact]
    public void Limits_without_default_are_no_matter_when_every_route_names_one() =>
        Assert.Empty(ConfigText.Faults("""
            upstreams: { a: { backends: ["a:1"] } }
            limits: { api: { capacity: 1, rate: 1/s } }
            routes: [{ upstream: a, limit: api }]
            """));

    [Theory]
    [InlineData("backends: a:1\n<<: 5", "2:1+2 '<<' needs a mapping, but this is a value"
        + " | write <<: *anchor, with the anchor of a mapping | ")]
    [InlineData("backends: &b [a:1]\ntimeouts: { <<: *b }", "2:13+2 '<<' needs a mapping, but this is a "
        + "value | write <<: *anchor, with the anchor of a mapping | ")]
    [InlineData("backends: a:1\ntimeouts:\n  <<:\n", "3:3+2 '<<' needs a mapping, but this is nothing"
        + " | write <<: *anchor, with the anchor of a mapping | ")]
    [InlineData("backends: a:1\ntimeouts:\n  <<: { idle: 1s }\n  <<: { head: 1s }", "4:3+2 duplicate key '<<'"
        + " | the first is on line 3; write <<: [*one, *other] | ")]
    [InlineData("backends: a:1\ntimeouts: { <<: *t }", "2:17+2 not valid YAML: there is no anchor '&t' before this "
        + "alias | put quotes around a value that begins with *, or define the anchor first | ")]
    [InlineData("x-t: &t\n  idel: 5s\nbackends: a:1\ntimeouts: { <<: *t }", "2:3+4 unknown key 'idel'"
        + " | did you mean 'idle'? | timeouts")]
    [InlineData("x-t: &t\n  head: 5\n  idle: 5s\nbackends: a:1\ntimeouts: { <<: *t, idle: 6s }",
        "2:9+1 head: '5' has no unit | write 5s or 5000ms | timeouts.head")]
    [InlineData("backends: a:1\ntimeouts: { idle: 6s, idle: 7s, <<: { idle: 5s } }",
        "2:23+4 duplicate key 'idle' | the first is on line 2 | timeouts")]
    public void Fault_of_a_merge_key_is_shown_where_it_was_written(string text, string expected) =>
        Only("error " + expected, text);

    [Theory]
    [InlineData("listen: [{ address: \"unix:/a\", mode: 0888 }]\nbackends: a:1", "error 1:38+4 mode: '0888' is not the "
        + "mode of a file | write three octal digits, such as 0660 | listen[0].mode")]
    [InlineData("listen: [{ address: \"unix:/a\", mode: rw }]\nbackends: a:1", "error 1:38+2 mode: 'rw' is not the "
        + "mode of a file | write three octal digits, such as 0660 | listen[0].mode")]
    [InlineData("listen: [{ address: \"0.0.0.0:1\", mode: 0660 }]\nbackends: a:1", "error 1:40+4 'mode' is for Unix "
        + "sockets only | remove it | listen[0].mode")]
    [InlineData("listen: unix:/a\nbackends: a:1\nlimits: { default: { capacity: 1, rate: 1/s } }",
        "warning 1:9+7 all clients of a Unix socket have the same address, 'unix', and share one bucket"
        + " | if a proxy is in front, write clients.trusted_proxies: [unix], so that its X-Forwarded-For counts"
        + " | listen")]
    public void Fault_of_a_unix_socket_is_told(string text, string expected) => Only(expected, text);

    [Fact]
    public void Mappings_that_merge_each_other_do_not_multiply()
    {
        var text = new System.Text.StringBuilder("x-0: &a0 {");
        for (int i = 0; i < 1000; i++)
        {
            text.Append($"k{i}: 1, ");
        }

        text.Append("}\n");
        for (int i = 1; i < 200; i++)
        {
            text.Append($"x-{i}: &a{i} {{ <<: [*a{i - 1}, *a{i - 1}] }}\n");
        }

        Assert.Contains(ConfigText.Faults(text + "backends: a:1"),
            line => line.Contains("more than 100000 entries are merged", StringComparison.Ordinal));
    }

    [Fact]
    public void Alias_of_a_faulty_value_is_reported_once() =>
        Only("error 2:42+1 rise: 'x' is not a whole number from 1 to 1000 |  | upstreams.a.health_check.rise",
            """
            upstreams:
              a: { health_check: &c { path: /, rise: x }, backends: ["a:1"] }
              b: { health_check: *c, backends: ["b:1"] }
            routes: [{ upstream: a }, { path: /b, upstream: b }]
            """);

    [Fact]
    public void Error_comes_before_a_warning_and_leaves_no_configuration()
    {
        ConfigResult result = ConfigText.Parse("clients: { identify: [address, query:id] }\nloops: x\nbackends: [a:1]");

        Assert.Null(result.Config);
        Assert.Equal([2, 1], result.Diagnostics.Select(d => d.Line));
    }

    private static string Full(string lines) => $"""
        upstreams:
          web:
            backends: ["a:1"]
        routes: [{"{ upstream: web }"}]
        {lines}
        """;

    private static void Only(string expected, string text, string file = "penstock.yaml") =>
        Assert.Equal(expected, Assert.Single(ConfigText.Faults(text, file)));
}
