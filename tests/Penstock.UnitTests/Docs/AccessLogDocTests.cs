using System.Text;
using Penstock.Proxy.Exchanges;
using Xunit;

namespace Penstock.UnitTests.Docs;

/// <summary>The table of the access log's values in docs/operating.md is made from <see cref="AccessVariables"/>.
/// </summary>
public sealed class AccessLogDocTests
{
    [Fact]
    public void Table_of_variables_in_the_document_is_that_of_the_program()
    {
        var table = new StringBuilder("\n| name | meaning | in JSON |\n|---|---|---|\n");
        foreach (AccessVariable variable in AccessVariables.All)
        {
            string json = variable.OnlyInTemplates ? "no" : variable.IsOptional ? "if known" : "always";
            table.Append($"| `{variable.Name}` | {variable.Meaning} | {json} |\n");
        }
        GeneratedText.CheckParts("docs/operating.md", [("variables", table.Append('\n').ToString())]);
    }
}
