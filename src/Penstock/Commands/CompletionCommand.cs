using System.CommandLine;

namespace Penstock.Commands;

/// <summary><c>penstock completion</c>: prints a script that completes command lines. The scripts ask the program
/// itself, see <see cref="Completions"/>, so they fit every version.</summary>
internal static class CompletionCommand
{
    /// <summary>A word after the last ':' or '=' is a word of its own for bash, so what stands before it in the
    /// candidates is cut off. The file names of <c>-o default</c> appear when the program has no candidate.</summary>
    private const string Bash = """
        # bash completion for penstock. Try it: source <(penstock completion bash)
        # Keep it: penstock completion bash > /etc/bash_completion.d/penstock
        _penstock() {
            local line=${COMP_LINE:0:COMP_POINT} candidate before=""
            local word=${line##*[[:space:]]}
            [[ $word == *[:=]* ]] && before=${word%"${word##*[:=]}"}
            COMPREPLY=()
            while IFS= read -r candidate; do
                candidate=${candidate%%$'\t'*}
                COMPREPLY+=("${candidate#"$before"}")
            done < <("$1" '[suggest]' "$line" 2>/dev/null)
        }
        complete -o default -F _penstock penstock

        """;

    private const string Zsh = """
        #compdef penstock
        # zsh completion for penstock. Try it: source <(penstock completion zsh)
        # Keep it: penstock completion zsh > a folder of $fpath, as _penstock
        _penstock() {
            local -a found
            local line
            for line in "${(@f)$(${words[1]} '[suggest]' "${(j: :)words[1,CURRENT-1]} $PREFIX" 2>/dev/null)}"; do
                [[ -n $line ]] && found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
            done
            if (( ${#found} )); then
                _describe penstock found
            else
                _files
            fi
        }
        if [[ $funcstack[1] == _penstock ]]; then
            _penstock
        else
            compdef _penstock penstock
        fi

        """;

    private const string Fish = """
        # fish completion for penstock. Try it: penstock completion fish | source
        # Keep it: penstock completion fish > ~/.config/fish/completions/penstock.fish
        function __penstock_complete
            set -l found (penstock '[suggest]' (commandline -cp | string collect) 2>/dev/null)
            if test (count $found) -gt 0
                printf '%s\n' $found
            else
                __fish_complete_path (commandline -ct)
            end
        end
        complete -c penstock -f -a '(__penstock_complete)'

        """;

    private const string PowerShell = """
        # PowerShell completion for penstock: penstock completion powershell | Out-String | Invoke-Expression
        Register-ArgumentCompleter -Native -CommandName penstock -ScriptBlock {
            param($wordToComplete, $commandAst, $cursorPosition)
            $length = $cursorPosition - $commandAst.Extent.StartOffset
            $line = $commandAst.ToString().PadRight($length).Substring(0, $length)
            penstock '[suggest]' $line | ForEach-Object {
                $value, $text = $_ -split "`t", 2
                [System.Management.Automation.CompletionResult]::new(
                    $value, $value, 'ParameterValue', $(if ($text) { $text } else { $value }))
            }
        }

        """;

    private static readonly (string Shell, string Script)[] Scripts =
        [("bash", Bash), ("zsh", Zsh), ("fish", Fish), ("powershell", PowerShell)];

    public static Command Create(Terminal terminal)
    {
        var command = new PenstockCommand("completion", "Print a script that completes command lines of penstock in a "
            + "shell, with the names of a running Penstock.",
            "source <(penstock completion bash)",
            "penstock completion fish > ~/.config/fish/completions/penstock.fish");
        foreach ((string shell, string script) in Scripts)
        {
            var one = new PenstockCommand(shell, $"Print the script for {shell}.", $"penstock completion {shell}");
            one.SetAction(_ => terminal.Out.Write(script));
            command.Add(one);
        }
        return command;
    }
}
