namespace Penstock.Proxy.Observability;

/// <summary>Numbers the routes of all configurations since start, so that a loop counts requests by a small number. A
/// route that a reload keeps, keeps its number. Thread-safe.</summary>
internal sealed class RouteNumbers
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, int> _numbers = new(StringComparer.Ordinal);

    /// <summary>The number of a route, from 1; 0 stands for requests without a route.</summary>
    public int Of(string route)
    {
        lock (_lock)
        {
            if (!_numbers.TryGetValue(route, out int number))
            {
                _numbers.Add(route, number = _numbers.Count + 1);
            }
            return number;
        }
    }

    /// <summary>The routes by number.</summary>
    public Dictionary<int, string> Names()
    {
        lock (_lock)
        {
            return _numbers.ToDictionary(static one => one.Value, static one => one.Key);
        }
    }
}

/// <summary>What became of a request, as far as a picture of the traffic shows it.</summary>
internal enum RequestEnd
{
    Served,

    /// <summary>No backend could serve it, or the response was an error of the server (5xx) or incomplete.</summary>
    Failed,

    /// <summary>A limit rejected it.</summary>
    Rejected,
}
