-- Requests of ten clients in turn, for wrk; counts answers by status. load/ramp.sh uses it.
local clients = 10
local turn = 0
ok, limited, other = 0, 0, 0 -- global, so that done can read them
local threads = {}

function setup(thread)
    table.insert(threads, thread)
end

function request()
    turn = turn % clients + 1
    return wrk.format("GET", nil, { ["X-API-Key"] = "load" .. turn })
end

function response(status)
    if status == 200 then
        ok = ok + 1
    elseif status == 429 then
        limited = limited + 1
    else
        other = other + 1
    end
end

function done(summary, latency)
    local passed, rejected, wrong = 0, 0, 0
    for _, thread in ipairs(threads) do
        passed = passed + thread:get("ok")
        rejected = rejected + thread:get("limited")
        wrong = wrong + thread:get("other")
    end
    local errors = summary.errors -- without "status": those are answers
    wrong = wrong + errors.connect + errors.read + errors.write + errors.timeout
    -- the columns of load/ramp.sh; latency is in microseconds
    print(string.format("row %11s%10d%8d%8d%7d%8.1f", os.getenv("CONNECTIONS") or "", summary.requests, passed,
        rejected, wrong, latency:percentile(95) / 1000))
    if wrong == 0 and passed + rejected > 0 then
        print("every answer was 200 or 429")
    end
end
