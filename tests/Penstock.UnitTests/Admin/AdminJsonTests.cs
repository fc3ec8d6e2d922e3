using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Penstock.Control.Admin;
using Xunit;

namespace Penstock.UnitTests.Admin;

public sealed class AdminJsonTests
{
    /// <summary>Without a converter, the generated code writes an enum as a number.</summary>
    [Fact]
    public void Enumeration_of_any_type_is_written_as_a_word()
    {
        Type[] enumerations = [.. typeof(AdminTypes).GetProperties()
            .Where(static p => typeof(JsonTypeInfo).IsAssignableFrom(p.PropertyType) && p.PropertyType.IsGenericType)
            .Select(static p => p.PropertyType.GenericTypeArguments[0]).Where(static t => t.IsEnum)];

        Assert.NotEmpty(enumerations);
        foreach (Type type in enumerations)
        {
            object word = Enum.GetValuesAsUnderlyingType(type).GetValue(0)!;
            string written = JsonSerializer.Serialize(
                Enum.ToObject(type, word), AdminJson.Types.Options.GetTypeInfo(type));
            Assert.True(written.StartsWith('"'), $"{type} is written as {written}: add it to AdminJson.Configure");
        }
    }
}
