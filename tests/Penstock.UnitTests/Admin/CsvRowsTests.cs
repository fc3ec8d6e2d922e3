using System.Text;
using Penstock.Control.Admin;
using Xunit;

namespace Penstock.UnitTests.Admin;

public sealed class CsvRowsTests
{
    private const string LoneReturn = "the line contains a carriage return that is not before its line feed";

    private const string Header = "client_id,capacity,rate_per_sec,current_tokens\n";

    [Theory]
    [InlineData("a,1,2,0.5", "a 1 2 0.5")]
    [InlineData("a,1,2,", "a 1 2 -")]
    [InlineData("\"a\",\"1\",\"2\",\"0\"", "a 1 2 0")]
    [InlineData("\"a,b\",1,2,", "a,b 1 2 -")]
    [InlineData("\"a\"\"b\",1,2,", "a\"b 1 2 -")]
    [InlineData("\"\"\"\",1,2,\"\"", "\" 1 2 -")]
    [InlineData("\"\"\"a,\"\",\"\"\",1,2,", "\"a,\",\" 1 2 -")]
    [InlineData("ключ 🔑 é,1,2,", "ключ 🔑 é 1 2 -")]
    [InlineData("it's;a|b\\,1,2,", "it's;a|b\\ 1 2 -")]
    [InlineData("a b,1,2,", "a b 1 2 -")]
    [InlineData("a,1e2,2E-07,+1.5", "a 100 2E-07 1.5")]
    [InlineData("a,100.0,.5,99.", "a 100 0.5 99")]
    [InlineData("client_id,1,2,", "client_id 1 2 -")]
    public void Row_of_any_quoting_is_its_client(string row, string client)
    {
        Assert.Equal(["2: " + client], RowReading.Csv(Header + row));
        Assert.Equal(["2: " + client], RowReading.Csv(Header + row + "\n"));
        Assert.Equal(["2: " + client], RowReading.Csv("\uFEFF" + Header.TrimEnd() + "\r\n" + row + "\r\n"));
    }

    [Fact]
    public void Columns_are_found_by_their_names_and_tokens_may_be_missing()
    {
        Assert.Equal(["2: a 3 0.5 -"], RowReading.Csv("rate_per_sec,client_id,capacity\n0.5,a,3\n"));
        Assert.Equal(["2: a 3 0.5 1"], RowReading.Csv("current_tokens,\"capacity\",rate_per_sec,client_id\n1,3,0.5,a"));
    }

    [Theory]
    [InlineData("a,gold,,,", "a   - plan gold")]
    [InlineData("a,gold,exempt,,7", "a   7 plan gold Exempt")]
    [InlineData("a,,blocked,,", "a   - Blocked")]
    [InlineData("a,gold,limited,search=5:1;login=3:0.1,", "a   - plan gold Limited search=5:1 login=3:0.1")]
    public void Plan_access_and_limits_are_columns(string row, string client)
    {
        Assert.Equal(["2: " + client], RowReading.Csv("client_id,plan,access,limits,current_tokens\n" + row));
    }

    [Theory]
    [InlineData("a,,,,,,", "capacity is required|rate_per_sec is required")]
    [InlineData("a,1,,,,blocked,", "rate_per_sec is required")]
    [InlineData("a,1,1,,,open,", "access must be one of limited, blocked, exempt, not 'open'")]
    [InlineData("a,1,1,,,,search", "limits must be LIMIT=CAPACITY:RATE_PER_SEC, separated by ';', such as "
        + "search=5:1;login=3:0.1")]
    [InlineData("a,1,1,,,,s=5:1;s=5:1", "limits.s is given twice")]
    [InlineData("a,1,1,,,,s=0:1", "limits.s.capacity must be from 1 to 1000000000")]
    public void Fault_of_plan_access_or_limits_is_told(string row, string faults)
    {
        Assert.Equal(faults.Split('|').Select(static fault => "line 2: " + fault),
            RowReading.Csv("client_id,capacity,rate_per_sec,current_tokens,plan,access,limits\n" + row));
    }

    [Fact]
    public void Empty_lines_are_passed_over_and_counted()
    {
        Assert.Equal(["4: a 1 2 -", "7: b 1 2 -"], RowReading.Csv("\n" + Header + "\r\na,1,2,\n\n\r\nb,1,2,\n\n\n"));
        Assert.Empty(RowReading.Csv(Header));
        Assert.Empty(RowReading.Csv(Header.TrimEnd()));
    }

    [Theory]
    [InlineData("a,0,1,", "capacity must be from 1 to 1000000000")]
    [InlineData("a,1000000001,1,", "capacity must be from 1 to 1000000000")]
    [InlineData("a,1.5,1,", "capacity must be a whole number")]
    [InlineData("a,,1,", "capacity is required")]
    [InlineData("a,ten,1,", "capacity must be a number, not 'ten'")]
    [InlineData("a, 1,1,", "capacity must be a number, not ' 1'")]
    [InlineData("a,\"1,000\",1,", "capacity must be a number, not '1,000'")]
    [InlineData("a,0x10,1,", "capacity must be a number, not '0x10'")]
    [InlineData("a,NaN,1,", "capacity must be a number, not 'NaN'")]
    [InlineData("a,1,,", "rate_per_sec is required")]
    [InlineData("a,1,-1,", "rate_per_sec must be from one in 100 days to 1000000 per second")]
    [InlineData("a,1,1e999,", "rate_per_sec is too large")]
    [InlineData("a,1000000000,1e-6,", "rate_per_sec is too low: an empty bucket would need more than 100 years to "
        + "fill; lower the capacity or raise the rate")]
    [InlineData("a,1,1,-1", "current_tokens must not be negative")]
    [InlineData("a,1,1,2", "current_tokens must not be above the capacity, 1")]
    [InlineData("a,1,1,x", "current_tokens must be a number, not 'x'")]
    [InlineData(",1,1,", "client_id is required")]
    [InlineData(" a,1,1,", "client_id must not begin or end with a space")]
    [InlineData("a\tb,1,1,", "client_id must hold printable characters only")]
    [InlineData("a\rb,1,1,", LoneReturn)]
    [InlineData("\"a\rb\",1,1,", "client_id must hold printable characters only")]
    [InlineData("a,1,1", "has 3 fields, but the header line has 4")]
    [InlineData("a,1,1,,", "has 5 fields, but the header line has 4")]
    [InlineData("a", "has 1 field, but the header line has 4")]
    [InlineData("a\"b,1,1,", "a field that contains a quote must be in quotes, with the quote written twice")]
    [InlineData("a,1,1,\"", "a quoted field does not end")]
    [InlineData("\"a,1,1,", "a quoted field does not end")]
    [InlineData("\"a\"b,1,1,", "text follows the quote that ends a field; a quote within a field must be written "
        + "twice")]
    [InlineData("\"a\" ,1,1,", "text follows the quote that ends a field; a quote within a field must be written "
        + "twice")]
    public void Faulty_row_is_told_with_its_line_and_hides_no_other(string row, string fault)
    {
        Assert.Equal(["line 3: " + fault], RowReading.Csv(Header + "x,1,1,\n" + row + "\ny,1,1,\n"));
        Assert.Equal(["line 2: " + fault, "line 4: capacity is required"],
            RowReading.Csv(Header + row + "\r\nx,1,1,\r\ny,,1,"));
    }

    [Fact]
    public void Every_fault_of_a_row_is_told()
    {
        Assert.Equal(
            [
                "line 2: client_id must have 1 to 256 bytes of UTF-8", "line 2: capacity must be a number, not 'x'",
                "line 2: rate_per_sec is required", "line 2: current_tokens must not be negative",
            ],
            RowReading.Csv(Header + new string('a', 257) + ",x,,-1"));
    }

    [Theory]
    [InlineData("", "line 1: the header line is missing")]
    [InlineData("\n\n", "line 3: the header line is missing")]
    [InlineData("user1,100,10\nuser2,100,x", "line 1: the header line is missing")]
    [InlineData("client_id;capacity;rate_per_sec\n",
        "line 1: the columns are separated by semicolons: separate them by commas")]
    [InlineData("\"client_id\"\tcapacity\trate_per_sec\n",
        "line 1: the columns are separated by tabs: separate them by commas")]
    [InlineData("{\"client_id\":\"a\"}\n{\"client_id\":\"b\"}\n",
        "line 1: is JSON, not CSV: send it as application/x-ndjson")]
    [InlineData("[\n{\"client_id\":\"a\"}\n]\n", "line 1: is JSON, not CSV")]
    [InlineData("client_id,capacity\na,1", "line 1: column rate_per_sec is missing")]
    [InlineData("client_id,capacity,rate_per_sec,burst\n", "line 1: column 'burst' is not known; known are client_id")]
    [InlineData("client_id,capacity,rate_per_sec, current_tokens\n", "line 1: column ' current_tokens' is not known")]
    [InlineData("Client_Id,capacity,rate_per_sec\n",
        "line 1: column 'Client_Id' is not known|line 1: column client_id is missing")]
    [InlineData("client_id,capacity,capacity,rate_per_sec\n", "line 1: column capacity is given twice")]
    [InlineData("client_id,capacity,rate_per_sec,\"x\na,1,1,1", "line 1: a quoted field does not end")]
    public void Faulty_header_is_told_and_nothing_after_it(string text, string faults)
    {
        List<string> told = RowReading.Csv(text);

        Assert.Equal(faults.Split('|').Length, told.Count);
        Assert.All(faults.Split('|').Zip(told), static pair => Assert.StartsWith(pair.First, pair.Second));
    }

    [Fact]
    public void Client_that_is_there_twice_names_both_lines()
    {
        Assert.Equal(
            ["line 4: client_id 'a' is the same as in line 2", "line 5: client_id 'a' is the same as in line 2"],
            RowReading.Csv(Header + "a,1,1,\nA,1,1,\n\"a\",2,2,\na,3,3,\n"));
    }

    [Fact]
    public void Line_feed_in_quotes_belongs_to_the_field_and_lines_go_on_counting()
    {
        Assert.Equal(["line 2: client_id must hold printable characters only", "line 5: capacity is required"],
            RowReading.Csv(Header + "\"a\nb\r\nc\",1,1,\nc,,1,\n"));
    }

    [Theory]
    [InlineData("\"a,1,1,\nb,1,1,\nc,,1,")]
    [InlineData("\"a,1,1,\n\"b\",1,1,\nc,,1,\n")]
    [InlineData("a\"\",\",1,1,\nb,\"1\",1,\nc,,1,\n")]
    public void Quote_that_does_not_end_costs_its_own_line_only(string rows)
    {
        List<string> faults = RowReading.Csv(Header + rows);

        Assert.StartsWith("line 2: ", faults[0]);
        Assert.Equal("line 4: capacity is required", faults[^1]);
        Assert.Equal(2, faults.Count);
    }

    [Fact]
    public void Row_that_is_too_long_is_one_fault()
    {
        string much = new string('a', 3 * ClientRows.MaxRowBytes);

        Assert.Equal(["line 2: is longer than 16384 bytes", "line 4: capacity is required"],
            RowReading.Csv(Header + much + ",1,1,\nb,1,1,\nc,,1,\n"));
        Assert.Equal(["line 2: a quoted field does not end", "line 3: is longer than 16384 bytes"],
            RowReading.Csv(Header + "\"a,1,1,\n" + much));
    }

    [Fact]
    public void Bytes_that_are_not_utf8_are_a_fault_of_their_line()
    {
        byte[] bytes = [.. Encoding.UTF8.GetBytes(Header + "a"), 0xe9, .. ",1,1,\nb,1,1,\n"u8];

        Assert.Equal(["line 2: is not valid UTF-8"], RowReading.Read(new CsvRows(), bytes));
    }

    [Fact]
    public void Faults_beyond_the_first_hundred_are_counted()
    {
        var rows = new CsvRows();
        byte[] bytes = Encoding.UTF8.GetBytes(Header + string.Concat(Enumerable.Repeat("a,x,1,\n", 250)));

        List<string> faults = RowReading.Read(rows, bytes);

        Assert.Equal(100, faults.Count);
        Assert.Equal("line 2: capacity must be a number, not 'x'", faults[0]);
        Assert.Equal(250 + 249, rows.FaultCount); // and but for the first the same client
    }

    [Theory]
    [InlineData("\uFEFF" + Header + "\"a,\"\"\n\",1,1,\n\r\nключ,1,2,\r\n\"x\",3,4,\"\"")]
    [InlineData(Header + "ключ,1,2,\r\n\"x,\"\"\",3,4,\"1\"\n\nb,1,1,1")]
    [InlineData(Header + "\"a,1,1,\nb\"\"\n\"\"\"\",2,,\n")]
    public void Pieces_of_any_size_make_no_difference(string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        List<string> whole = RowReading.Read(new CsvRows(), bytes);

        for (int first = 0; first <= bytes.Length; first++)
        {
            for (int second = 0; second <= bytes.Length - first; second++)
            {
                Assert.Equal(whole, RowReading.Read(new CsvRows(), bytes, first, second));
            }
        }
        Assert.Equal(whole, RowReading.Read(new CsvRows(), bytes, [.. bytes.Select(static _ => 1)]));
    }
}
