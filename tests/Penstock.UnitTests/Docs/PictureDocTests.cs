using System.Xml.Linq;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.Docs;

/// <summary>The drawings in docs/pictures are made here: <c>PENSTOCK_ACCEPT=1 ./test.sh Penstock.UnitTests</c> writes
/// them again. What the program decides in them is computed by its own code.</summary>
public sealed class PictureDocTests
{
    private const long NsPerSecond = 1_000_000_000;

    public static TheoryData<string> Names => [.. Pictures.Keys];

    private static Dictionary<string, Func<string>> Pictures => new(StringComparer.Ordinal)
    {
        ["bucket"] = Bucket,
        ["burst"] = Burst,
        ["nodes"] = Nodes,
        ["request"] = Request,
    };

    [Theory]
    [MemberData(nameof(Names))]
    public void Picture_is_the_one_that_is_drawn_here(string name)
    {
        string drawn = Pictures[name]();

        Assert.Equal("svg", XDocument.Parse(drawn).Root!.Name.LocalName);
        GeneratedText.Check($"docs/pictures/{name}.svg", drawn);
    }

    [Fact]
    public void No_other_picture_is_drawn() => Assert.Equal(Pictures.Keys.Order(), Directory
        .GetFiles(Path.Combine(Repository.Root, "docs", "pictures"), "*.svg")
        .Select(static file => Path.GetFileNameWithoutExtension(file)).Order());

    private static string Bucket()
    {
        var svg = new Svg(760, 250, "A token bucket", "Three buckets with a capacity of 100 tokens that fill at 10 a "
            + "second: a full one, from which a request takes a token; a partly filled one after a burst; and an "
            + "empty one, at which a request gets 429.");
        (string Name, double Full, string Request, string Result, string Looks)[] states =
        [
            ("full: 100 of 100 tokens", 1, "a request takes 1", "200", "good bold"),
            ("after a burst of 60", 0.4, "a request takes 1", "200", "good bold"),
            ("empty", 0, "a request takes nothing", "429, Retry-After: 1", "bad bold"),
        ];
        for (int i = 0; i < states.Length; i++)
        {
            double x = 60 + (i * 250);
            svg.Text(x + 70, 22, "10 tokens a second", "soft small", "middle");
            svg.Arrow(x + 70, 30, x + 70, 51);
            svg.Vessel(x, 55, 140, 110, states[i].Full);
            svg.Text(x + 70, 185, states[i].Name, "text bold", "middle");
            svg.Text(x + 70, 208, states[i].Request, "soft", "middle");
            svg.Text(x + 70, 232, states[i].Result, states[i].Looks, "middle");
        }
        return svg.ToString();
    }

    /// <summary>A client that sends 30 requests a second for three seconds, is silent for two, and begins again.
    /// </summary>
    private static string Burst()
    {
        const int Capacity = 20;
        const int PerSecond = 30;
        const int Seconds = 6;
        const int BarsPerSecond = 5;
        const double Left = 60;
        const double SecondWidth = 110;
        var svg = new Svg(760, 330, "A burst, then a steady rate", "A client sends 30 requests a second under a limit "
            + "of 20 tokens and 10 a second. At first all are admitted. After one second the bucket is empty, and one "
            + "in three is admitted. Two silent seconds fill the bucket again.");
        var limit = new Limit("default", new LimitConfig(Capacity, 10));
        long state = 0;
        var level = new List<(double X, double Y)>();
        int[] admitted = new int[Seconds * BarsPerSecond];
        int[] rejected = new int[Seconds * BarsPerSecond];
        for (int i = 0; i <= Seconds * PerSecond; i++)
        {
            long clock = limit.Clock(NsPerSecond + (i * NsPerSecond / PerSecond));
            double second = (double)i / PerSecond;
            if (second is < 3 or >= 5 and < Seconds)
            {
                (limit.TryTake(ref state, clock, 1) ? admitted : rejected)[i * BarsPerSecond / PerSecond]++;
            }
            level.Add((Left + (second * SecondWidth), 140 - (limit.Tokens(state, clock) * 5)));
        }

        svg.Text(Left, 20, "tokens in the bucket: at most 20, filled at 10 a second", "text bold");
        foreach (int tokens in new[] { 0, 10, 20 })
        {
            svg.Line("grid", (Left, 140 - (tokens * 5)), (Left + (Seconds * SecondWidth), 140 - (tokens * 5)));
            svg.Text(Left - 10, 145 - (tokens * 5), $"{tokens}", "soft small", "end");
        }
        svg.Line("level", [.. level]);
        svg.Text(Left, 180, "requests: 30 a second, two seconds of silence, 30 a second", "text bold");
        for (int i = 0; i < admitted.Length; i++)
        {
            double x = Left + (i * SecondWidth / BarsPerSecond) + 2;
            double width = (SecondWidth / BarsPerSecond) - 4;
            svg.Rectangle(x, 280 - (admitted[i] * 14), width, admitted[i] * 14, "good");
            svg.Rectangle(x, 280 - ((admitted[i] + rejected[i]) * 14), width, rejected[i] * 14, "bad");
        }
        svg.Line("line", (Left, 280), (Left + (Seconds * SecondWidth), 280));
        for (int second = 0; second <= Seconds; second++)
        {
            svg.Text(Left + (second * SecondWidth), 298, $"{second} s", "soft small", "middle");
        }
        svg.Rectangle(Left, 309, 12, 12, "good");
        svg.Text(Left + 20, 320, $"admitted: {admitted.Sum()}", "soft small");
        svg.Rectangle(Left + 150, 309, 12, 12, "bad");
        svg.Text(Left + 170, 320, $"429: {rejected.Sum()}", "soft small");
        return svg.ToString();
    }

    private static string Nodes()
    {
        var svg = new Svg(760, 260, "Nodes that share a bucket", "A client sends requests to two nodes. Each node "
            + "leases tokens of the client's bucket from PostgreSQL, a few at a time, and decides by itself while it "
            + "has some.");
        svg.Box(20, 105, 110, 50, "client", "user1");
        svg.Arrow(130, 120, 226, 75);
        svg.Arrow(130, 140, 226, 185);
        for (int i = 0; i < 2; i++)
        {
            double y = 30 + (i * 110);
            svg.Rectangle(230, y, 190, 85);
            svg.Text(245, y + 25, $"node {i + 1}", "text bold");
            svg.Text(245, y + 48, "decides alone", "soft small");
            svg.Text(245, y + 66, "with leased tokens", "soft small");
            svg.Vessel(365, y + 25, 40, 45, i == 0 ? 0.4 : 0.2);
        }
        svg.Arrow(590, 110, 424, 75);
        svg.Arrow(590, 150, 424, 185);
        svg.Text(505, 72, "leases", "soft small", "middle");
        svg.Text(505, 198, "leases", "soft small", "middle");
        svg.Vessel(594, 75, 130, 110, 0.6);
        svg.Text(659, 62, "PostgreSQL", "text bold", "middle");
        svg.Text(659, 205, "one bucket for all nodes", "soft small", "middle");
        svg.Text(380, 250, "Together the nodes admit at most capacity + rate × time.", "text", "middle");
        return svg.ToString();
    }

    private static string Request()
    {
        var svg = new Svg(760, 220, "The way of a request", "A request passes five steps, each of which can answer it: "
            + "the listener reads its head, a route is found, the client is identified, all limits admit it, and a "
            + "backend answers.");
        (string Name, string Detail, string[] Answers)[] steps =
        [
            ("listener", "reads the head", ["400 bad_request", "408 client_timeout"]),
            ("route", "host, path, method", ["404 no_route"]),
            ("client", "key, name, address", ["401 unknown_client", "403 client_blocked"]),
            ("limits", "all admit, or none", ["429 rate_limited", "429 concurrency_limited"]),
            ("backend", "balancer, retries", ["502, 503, 504:", "see their reasons"]),
        ];
        for (int i = 0; i < steps.Length; i++)
        {
            double x = 10 + (i * 150);
            svg.Box(x, 30, 125, 60, steps[i].Name, steps[i].Detail);
            if (i + 1 < steps.Length)
            {
                svg.Arrow(x + 125, 60, x + 149, 60);
            }
            svg.Arrow(x + 62, 90, x + 62, 134);
            for (int line = 0; line < steps[i].Answers.Length; line++)
            {
                svg.Text(x + 62, 154 + (line * 18), steps[i].Answers[line], "bad small", "middle");
            }
        }
        svg.Text(380, 208, "The access log has the reason word of each request.", "soft", "middle");
        return svg.ToString();
    }
}
