using System.CommandLine;
using System.CommandLine.Parsing;
using System.Numerics;
using Penstock.Control.Config;

namespace Penstock.Commands;

internal delegate bool TryRead<T>(string text, out T value, out string error);

/// <summary>Options whose values have the same syntax and errors as in the configuration file.</summary>
internal static class OptionSyntax
{
    public static Option<T> Read<T>(string name, string helpName, string description, TryRead<T> read) => new(name)
    {
        HelpName = helpName,
        Description = description,
        CustomParser = result =>
        {
            if (read(result.Tokens[^1].Value, out T? value, out string? error))
            {
                return value;
            }

            result.AddError($"{name}: {Secrets.Hide(error)}");
            return default;
        },
    };

    public static Option<IReadOnlyList<T>> ReadMany<T>(
        string name, string helpName, string description, TryRead<T> read) => new(name)
    {
        HelpName = helpName,
        Description = description,
        Arity = ArgumentArity.OneOrMore,
        CustomParser = result =>
        {
            var values = new List<T>();
            foreach (Token token in result.Tokens)
            {
                if (read(token.Value, out T? value, out string? error))
                {
                    values.Add(value);
                }
                else
                {
                    result.AddError($"{name}: {Secrets.Hide(error)}");
                }
            }
            return values;
        },
    };

    public static Option<T> Number<T>(string name, string helpName, string description, T min, T max)
        where T : INumber<T> =>
        Read(name, helpName, description, (string text, out T value, out string error) =>
            ConfigValue.TryBetween(text, min, max, out value, out error));

    public static Option<T> OrElse<T>(this Option<T> option, T value)
    {
        option.DefaultValueFactory = _ => value;
        return option;
    }

    public static Option<string> OneOf(string name, string description, string first, params string[] others)
    {
        string[] all = [first, .. others];
        Option<string> option = Read(name, string.Join('|', all), description,
            (string text, out string value, out string error) =>
            {
                value = text;
                return ConfigValue.TryOneOf(text, all, out error);
            }).OrElse(first);
        option.CompletionSources.Add(all);
        return option;
    }
}
