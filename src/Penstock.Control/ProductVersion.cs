using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Penstock.Control;

/// <summary>The version of Penstock, the same in all its assemblies.</summary>
internal static class ProductVersion
{
    /// <summary>With the commit, such as <c>0.1.0+5a1b2c3</c>.</summary>
    public static string Full { get; } = typeof(ProductVersion).Assembly
        .GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;

    /// <summary>Without the commit.</summary>
    public static string Short { get; } = Full.Split('+')[0];

    /// <summary>The .NET that it runs on.</summary>
    public static string Runtime => RuntimeInformation.FrameworkDescription;

    /// <summary><c>jit</c> or <c>native</c>.</summary>
    public static string Flavour => RuntimeFeature.IsDynamicCodeCompiled ? "jit" : "native";
}
