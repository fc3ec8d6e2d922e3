using System.Text.Json;
using Penstock.Control.Acme;
using Xunit;

namespace Penstock.UnitTests.Acme;

public sealed class AcmeExceptionTests
{
    [Fact]
    public void Problem_of_a_ca_is_told_in_its_words_with_all_its_parts()
    {
        CaProblem problem = JsonSerializer.Deserialize("""
            { "type": "urn:ietf:params:acme:error:rejectedIdentifier", "detail": "not all names are accepted",
              "subproblems": [
                { "type": "urn:ietf:params:acme:error:caa", "detail": "CAA forbids it",
                  "identifier": { "type": "dns", "value": "a.example" } }] }
            """, AcmeJson.Default.CaProblem)!;

        Assert.Equal("rejectedIdentifier", problem.Word);
        Assert.Equal("not all names are accepted (rejectedIdentifier), CAA forbids it (caa)", problem.Text);
    }

    [Fact]
    public void Failures_of_several_cas_are_one_and_the_shortest_pause_counts()
    {
        var all = AcmeException.Of([
            new AcmeException("one fails") { Type = "rejectedIdentifier", RetryAfter = TimeSpan.FromHours(9) },
            new AcmeException("two fails") { RetryAfter = TimeSpan.FromHours(2) }]);

        Assert.Equal(("one fails; two fails", TimeSpan.FromHours(2), false),
            (all.Message, all.RetryAfter, all.NeedsOperator));
    }
}
