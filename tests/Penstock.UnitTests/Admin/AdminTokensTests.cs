using System.Net;
using Penstock.Control.Admin;
using Penstock.Control.Config;
using Xunit;

namespace Penstock.UnitTests.Admin;

public sealed class AdminTokensTests
{
    private static readonly IPEndPoint Everywhere = new(IPAddress.Any, 9800);

    [Fact]
    public void Token_has_a_prefix_and_enough_random_bits_and_fits_a_header()
    {
        HashSet<string> tokens = [.. Enumerable.Range(0, 200).Select(static _ => AdminToken.Create())];

        Assert.Equal(200, tokens.Count);
        Assert.All(tokens, static token =>
        {
            Assert.Matches("^pst_[A-Za-z0-9_-]{48}$", token);
            Assert.True(ConfigValue.TryToken(token, out string? read, out _));
            Assert.Equal(token, read);
        });
    }

    [Fact]
    public void Token_with_a_wrong_or_missing_character_is_recognised()
    {
        string token = AdminToken.Create();
        for (int i = "pst_".Length; i < token.Length; i++)
        {
            char other = token[i] == 'A' ? 'B' : 'A';
            string[] copies = [token[..i] + other + token[(i + 1)..], token.Remove(i, 1), token[..i]];
            Assert.All(copies, static copy => Assert.False(ConfigValue.TryToken(copy, out _, out _)));
        }
        Assert.False(ConfigValue.TryToken(token + "A", out _, out string? error));
        Assert.DoesNotContain(token, error);
        Assert.True(ConfigValue.TryToken("pst-" + token[4..], out _, out _)); // any other text is a token, too
    }

    [Fact]
    public void Owner_of_a_token_is_found_by_its_hash()
    {
        (string ops, string grafana) = (AdminToken.Create(), AdminToken.Create());
        var tokens = new AdminTokens(new()
        {
            Token = "plain",
            Tokens =
            [
                new("ops", AdminRole.Admin, AdminToken.HashOf(ops)),
                new("grafana", AdminRole.Read, AdminToken.HashOf(grafana)),
            ],
        });

        Assert.True(tokens.Exist);
        Assert.Equal(new("ops", AdminRole.Admin), tokens.Find(ops));
        Assert.Equal(new("grafana", AdminRole.Read), tokens.Find(grafana));
        Assert.Equal(new("admin.token", AdminRole.Admin), tokens.Find("plain"));
        Assert.All((string[])["", "plai", "plain ", ops[..^1], AdminToken.HashOf(ops)],
            wrong => Assert.Null(tokens.Find(wrong)));
    }

    [Fact]
    public void Reload_replaces_tokens_but_never_opens_what_other_machines_reach()
    {
        var started = new AdminConfig
        {
            Listen = Everywhere, Token = "one", Tokens = [new("ops", AdminRole.Admin, AdminToken.HashOf("two"))],
        };
        var tokens = new AdminTokens(started);

        Assert.Equal(["admin.token", "admin.tokens"],
            tokens.Apply(new() { Listen = new IPEndPoint(IPAddress.Loopback, 1) }));
        Assert.NotNull(tokens.Find("one"));
        Assert.NotNull(tokens.Find("two"));

        Assert.Empty(tokens.Apply(started with { Token = "three", Tokens = [] }));
        Assert.Null(tokens.Find("one"));
        Assert.Null(tokens.Find("two"));
        Assert.NotNull(tokens.Find("three"));
        Assert.Equal(["admin.token"], tokens.Apply(new()));

        var local = new AdminTokens(new() { Token = "one" });
        Assert.Empty(local.Apply(new()));
        Assert.False(local.Exist);
    }
}
