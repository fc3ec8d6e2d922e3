using Penstock.Control.Admin;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using Xunit;

namespace Penstock.UnitTests.Admin;

public sealed class ClientFileWriterTests
{
    [Fact]
    public void Clients_are_lines_of_the_format()
    {
        ClientState[] clients =
        [
            new("a", new(100, 0.5), 99.99999), new("b,\"c\"", new(1, 2e-7), 0),
            new("d", new(9, 1), 7, new() { Plan = "gold", Access = ClientAccess.Exempt }),
            new("e", new(1, 1), 1, new() { Access = ClientAccess.Blocked, HasNumbers = false }),
            new("f", new(9, 1), 7, new() { Limits = [new("login", new(3, 0.1)), new("search", new(5, 1))] }),
        ];

        Assert.Equal("client_id,capacity,rate_per_sec,current_tokens,plan,access,limits\na,100,0.5,99.999,,limited,\n"
            + "\"b,\"\"c\"\"\",1,2E-07,0,,limited,\nd,,,7,gold,exempt,\ne,,,,,blocked,\n"
            + "f,9,1,7,,limited,login=3:0.1;search=5:1\n",
            Written(clients, csv: true));
        Assert.Equal("""
            {"client_id":"a","capacity":100,"rate_per_sec":0.5,"current_tokens":99.999}
            {"client_id":"b,\"c\"","capacity":1,"rate_per_sec":2E-07,"current_tokens":0}
            {"client_id":"d","current_tokens":7,"plan":"gold","access":"exempt"}
            {"client_id":"e","access":"blocked"}
            {"client_id":"f","capacity":9,"rate_per_sec":1,"current_tokens":7,"limits":LIMITS}

            """.Replace("LIMITS",
            """{"login":{"capacity":3,"rate_per_sec":0.1},"search":{"capacity":5,"rate_per_sec":1}}"""),
            Written(clients, csv: false));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_is_written_is_read_back(bool csv)
    {
        var random = new Random(20261121); // the same ids every time
        string[] pieces =
            ["a", "\"", ",", "\"\"", "\\", "'", " x", ";", "=", "й.", "é", "ключ", "🔑", "{", "~.", "<"];
        var clients = Enumerable.Range(0, 2000).Select(i => new ClientState(
            i + string.Concat(Enumerable.Range(0, random.Next(8)).Select(_ => pieces[random.Next(pieces.Length)])),
            new(random.Next(1, 1_000_000_000), 0.01 + (random.NextDouble() * 1000)), 0.5)).ToList();

        ClientRows rows = csv ? new CsvRows() : new JsonRows();
        byte[] bytes = System.Text.Encoding.UTF8.GetBytes(Written(clients, csv));

        RowReading.Read(rows, bytes, 1000, 77, 4096);
        Assert.Empty(rows.Faults);
        Assert.Equal(clients.Select(static c => (c.ClientId, c.Limit, (double?)c.Tokens)),
            rows.Clients.Select(static c => (c.ClientId,
                new LimitConfig(c.Change.Capacity!.Value, c.Change.RatePerSecond!.Value), c.Change.Tokens)));
    }

    private static string Written(IEnumerable<ClientState> clients, bool csv)
    {
        using var writer = new ClientFileWriter(csv);
        writer.Write(clients);
        return System.Text.Encoding.UTF8.GetString(writer.Written.Span);
    }
}
