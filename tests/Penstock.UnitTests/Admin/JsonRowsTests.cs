using System.Text;
using Penstock.Control.Admin;
using Xunit;

namespace Penstock.UnitTests.Admin;

public sealed class JsonRowsTests
{
    [Fact]
    public void Lines_are_clients()
    {
        Assert.Equal(["1: a 1 0.5 -", "3: ключ \"🔑\", 100 2E-07 99.5"], RowReading.Json(
            "\uFEFF" + """{"client_id":"a","capacity":1,"rate_per_sec":0.5}""" + "\r\n\n"
            + """ {"current_tokens": 99.5, "rate_per_sec":2e-7,"capacity":1e2, """
            + """ "client_id":"ключ \"\ud83d\udd11\","} """));
        Assert.Empty(RowReading.Json(""));
        Assert.Empty(RowReading.Json("\n\r\n"));
    }

    [Theory]
    [InlineData("{", "is not valid JSON, from column 2")]
    [InlineData("{}x", "is not valid JSON, from column 3")]
    [InlineData("""{"client_id":'a'}""", "is not valid JSON, from column 14")]
    [InlineData("""{"client_id":"\ud800","capacity":1,"rate_per_sec":1}""",
        "is not valid JSON: a text in it is not valid Unicode")]
    [InlineData("[]", "must be a JSON object, not a list")]
    [InlineData("null", "must be a JSON object, not null")]
    [InlineData("""{"client_id":"b","capacity":1,"rate_per_sec":1,"capacity":1}""", "capacity is given twice")]
    [InlineData("""{"client_id":"b","capacity":1,"rate_per_sec":1,"burst":1}""",
        "burst is not known; known are client_id, capacity, rate_per_sec, current_tokens, "
            + "plan, access, limits")]
    [InlineData("""{"client_id":7,"capacity":1,"rate_per_sec":1}""", "client_id must be a text, not a number")]
    [InlineData("""{"client_id":"b","capacity":"1","rate_per_sec":1}""", "capacity must be a number, not a text")]
    [InlineData("""{"client_id":"b","capacity":0,"rate_per_sec":1}""", "capacity must be from 1 to 1000000000")]
    [InlineData("""{"client_id":"b","capacity":1,"rate_per_sec":1,"current_tokens":2}""",
        "current_tokens must not be above the capacity, 1")]
    [InlineData("""{"client_id":"b","rate_per_sec":1}""", "capacity is required")]
    [InlineData("""{"client_id":"a","capacity":1,"rate_per_sec":1}""", "client_id 'a' is the same as in line 1")]
    public void Faulty_line_is_told_with_its_number_and_hides_no_other(string line, string fault)
    {
        const string Good = """{"client_id":"a","capacity":1,"rate_per_sec":1}""";

        Assert.Equal(["line 2: " + fault, "line 4: is not valid JSON, from column 1"],
            RowReading.Json($"{Good}\n{line}\n\n?\n"));
    }

    [Theory]
    [InlineData("[\n  {\n    \"client_id\": \"a\"\n  }\n]\n", "is the beginning of one JSON document")]
    [InlineData("{\n  \"client_id\": \"a\"\n}\n", "is the beginning of one JSON document")]
    [InlineData("[{\"client_id\":\"a\"}]", "is the beginning of one JSON document")]
    [InlineData("client_id,capacity\na,1\nb,2\n", "is not JSON", "; if this is CSV, send it as text/csv")]
    [InlineData("\"client_id\",\"capacity\"\na,1\n", "is not JSON", "; if this is CSV, send it as text/csv")]
    public void File_of_another_form_is_one_fault(string text, string what, string advice = "")
    {
        string fault = $"{what}: JSON Lines has one object in each line{advice}";
        byte[] bytes = Encoding.UTF8.GetBytes(text);

        Assert.Equal(["line 1: " + fault], RowReading.Json(text));
        Assert.Equal(["line 1: " + fault], RowReading.Read(new JsonRows(), bytes, [.. bytes.Select(static _ => 1)]));
    }

    [Fact]
    public void List_in_one_line_that_is_too_long_is_still_called_a_document() => Assert.Equal(
        ["line 1: is the beginning of one JSON document: JSON Lines has one object in each line"],
        RowReading.Json("[" + string.Join(',', Enumerable.Repeat("""{"client_id":"a"}""", 5000)) + "]\n?"));

    [Fact]
    public void Line_that_is_too_long_is_one_fault()
    {
        Assert.Equal(["line 1: is longer than 16384 bytes", "line 2: must be a JSON object, not a number"],
            RowReading.Json($"\"{new string('a', 2 * ClientRows.MaxRowBytes)}\"\n7"));
    }

    [Fact]
    public void Pieces_of_any_size_make_no_difference()
    {
        byte[] bytes = Encoding.UTF8.GetBytes("\uFEFF" + """{"client_id":"ключ","capacity":1,"rate_per_sec":1}"""
            + "\r\n\n" + """{"client_id":"b","capacity":1,"rate_per_sec":1}""");
        List<string> whole = RowReading.Read(new JsonRows(), bytes);

        Assert.Equal(2, whole.Count);
        for (int first = 0; first <= bytes.Length; first++)
        {
            Assert.Equal(whole, RowReading.Read(new JsonRows(), bytes, first));
        }

        Assert.Equal(whole, RowReading.Read(new JsonRows(), bytes, [.. bytes.Select(static _ => 1)]));
    }
}
