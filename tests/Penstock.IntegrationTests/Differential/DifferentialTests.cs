using System.Collections.Concurrent;
using System.Text;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Differential;

/// <summary>The same messages to Penstock, nginx and HAProxy, each in front of a backend that writes down what it
/// reads. They need not agree, but every difference must be one that <see cref="Differences"/> explains.</summary>
public sealed class DifferentialTests
{
    private static readonly TimeSpan Quiet = TimeSpan.FromMilliseconds(150);
    private static readonly TimeSpan LongQuiet = TimeSpan.FromSeconds(1);

    private const int MaxTries = 2;

    [Fact]
    public async Task Differences_from_nginx_and_HAProxy_are_all_explained()
    {
        Assert.SkipWhen(Front.Nginx is null, "nginx is not installed");
        Assert.SkipWhen(Front.Haproxy is null, "haproxy is not installed");
        await using Front penstock = Front.StartPenstock();
        await using Front nginx = await Front.StartNginxAsync();
        await using Front haproxy = await Front.StartHaproxyAsync();

        Front[] fronts = [penstock, nginx, haproxy];
        var faults = new ConcurrentQueue<string>();
        var found = new ConcurrentQueue<(string Row, Message Message)>();
        var work = new ConcurrentQueue<Message>(Messages.All);
        await Task.WhenAll(Enumerable.Range(0, Front.Lanes).Select(async lane =>
        {
            while (work.TryDequeue(out Message? message))
            {
                Verdict verdict = await CompareAsync(fronts, lane, message, Quiet);
                for (int tries = 0; verdict.Faults.Count > 0 && tries < MaxTries; tries++)
                {
                    // It may be the load of the machine: try again when all running requests have ended.
                    await Task.WhenAll(fronts.Select(f => f.SettleAsync(lane)));
                    verdict = await CompareAsync(fronts, lane, message, LongQuiet);
                }
                verdict.Faults.ForEach(faults.Enqueue);
                verdict.Rows.ForEach(r => found.Enqueue((r, message)));
            }
        }));
        WriteTable(found);
        Assert.True(faults.IsEmpty, string.Join("\n", faults.Order(StringComparer.Ordinal)));
    }

    private static async Task<Verdict> CompareAsync(Front[] fronts, int lane, Message message, TimeSpan quiet)
    {
        byte[] bytes = message.Content;
        Outcome[] outcomes = await Task.WhenAll(fronts.Select(f => f.SendAsync(lane, bytes, quiet)));
        (Outcome ours, Outcome nginx, Outcome haproxy) = (outcomes[0], outcomes[1], outcomes[2]);
        var verdict = new Verdict([], []);
        string about = $"{message.Class}: {message.Escaped}\n    Penstock {ours.Text}\n    nginx {nginx.Text}\n"
            + $"    HAProxy {haproxy.Text}";
        if (ours.Seen.Count > message.Meant
            || ours.Seen.Any(static s => s.StartsWith("malformed", StringComparison.Ordinal)))
        {
            verdict.Faults.Add("MORE THAN MEANT " + about);
        }
        if (Array.TrueForAll([nginx, haproxy], o => Differences.KindOf(ours, o) == Difference.WeForward))
        {
            verdict.Faults.Add("ONLY PENSTOCK FORWARDS " + about);
        }
        Explain("nginx", ours, nginx);
        Explain("HAProxy", ours, haproxy);
        return verdict;

        void Explain(string other, Outcome we, Outcome they)
        {
            if (Differences.KindOf(we, they) is not { } kind)
            {
                return;
            }
            string? reason = Differences.Reason(other, kind, message);
            if (reason is null)
            {
                verdict.Faults.Add($"UNEXPLAINED {other} {kind} {about}");
            }
            verdict.Rows.Add($"| {other} | {Differences.Words(kind)} | {reason} |");
        }
    }

    /// <summary>The table of docs/development/fuzzing.md, when asked for.</summary>
    private static void WriteTable(IEnumerable<(string Row, Message Message)> found)
    {
        if (Environment.GetEnvironmentVariable("PENSTOCK_DIFFERENCES") is not { Length: > 0 } file)
        {
            return;
        }
        var table = new StringBuilder("| other | difference | why | messages | for example |\n|---|---|---|---|---|\n");
        foreach (IGrouping<string, (string Row, Message Message)> group in found.GroupBy(static f => f.Row)
            .OrderBy(static g => g.Key, StringComparer.Ordinal))
        {
            string example = group.Select(static f => f.Message.Escaped).MinBy(static e => (e.Length, e))!;
            table.Append($"{group.Key} {group.Count()} | `")
                .Append(example.Replace("|", "\\|", StringComparison.Ordinal)).Append("` |\n");
        }
        File.WriteAllText(file, table.ToString());
    }

    private sealed record Verdict(List<string> Faults, List<string> Rows);
}
