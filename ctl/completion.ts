import type { Command } from 'commander';

/** One command that can be typed: its words after the program's name, what may follow, and its options. */
interface Place {
  readonly words: readonly string[];
  readonly next: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly { readonly flags: readonly string[]; readonly description: string; takesValue: boolean }[];
}

function placesOf(command: Command, words: readonly string[] = []): readonly Place[] {
  const place = {
    words,
    next: command.commands.map((each) => ({ name: each.name(), description: each.description() })),
    options: command.options.map((option) => ({
      flags: [option.short, option.long].filter((flag): flag is string => flag !== undefined && flag !== null),
      description: option.description,
      takesValue: option.required || option.optional,
    })),
  };
  return [place, ...command.commands.flatMap((each) => placesOf(each, [...words, each.name()]))];
}

/** What people type most after `get`, `describe` and `delete`; anything else can still be typed out. */
const resources =
  'pods deployments services nodes namespaces configmaps secrets ingresses jobs cronjobs statefulsets daemonsets ' +
  'replicasets persistentvolumeclaims persistentvolumes serviceaccounts events endpointslices networkpolicies';
const takesResource = ['get', 'describe', 'delete', 'scale'];

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

function bash(name: string, places: readonly Place[]): string {
  const offers = (place: Place): string =>
    [
      ...place.next.map((each) => each.name),
      ...place.options.flatMap((option) => option.flags),
      ...(takesResource.includes(place.words.join(' ')) ? [resources] : []),
    ].join(' ');
  const cases = places.map((place) => `    ${quoted(place.words.join(' '))}) offers=${quoted(offers(place))} ;;`);
  const valued = places.flatMap((place) => place.options.filter((option) => option.takesValue));
  const values = [...new Set(valued.flatMap((option) => option.flags))].sort().join('|');
  return `# bash completion of ${name}: source <(${name} completion bash)
_${name}() {
  local word path='' skip='' offers='' current="\${COMP_WORDS[COMP_CWORD]}" known=${quoted(
    `|${places.map((place) => place.words.join(' ')).join('|')}|`,
  )}
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [ -n "$skip" ]; then skip=''; continue; fi
    case "$word" in
      ${values}) skip=yes ;;
      -*) ;;
      *) case "$known" in *"|\${path:+$path }$word|"*) path="\${path:+$path }$word" ;; esac ;;
    esac
  done
  # The value of an option: a file, as far as anybody knows.
  if [ -n "$skip" ]; then COMPREPLY=($(compgen -f -- "$current")); return; fi
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$offers" -- "$current"))
}
complete -F _${name} ${name}
`;
}

/** zsh speaks bash's language of completions when it is asked to. */
const zsh = (name: string, places: readonly Place[]): string => `#compdef ${name}
# zsh completion of ${name}: source <(${name} completion zsh)
autoload -Uz compinit bashcompinit
(( \${+functions[compdef]} )) || compinit
bashcompinit
${bash(name, places).split('\n').slice(1).join('\n')}`;

function fish(name: string, places: readonly Place[]): string {
  const lines = places.flatMap(({ words, next, options }) => {
    const seen = words.map((word) => `__fish_seen_subcommand_from ${word}`);
    const others = next.map((each) => each.name).join(' ');
    const here = words.length === 0 ? '__fish_use_subcommand' : `${seen.join('; and ')}`;
    const notYet =
      words.length === 0 || others === '' ? here : `${here}; and not __fish_seen_subcommand_from ${others}`;
    return [
      ...next.map((each) => `-n ${quoted(notYet)} -f -a ${each.name} -d ${quoted(each.description)}`),
      ...(takesResource.includes(words.join(' ')) ? [`-n ${quoted(here)} -f -a ${quoted(resources)}`] : []),
      ...options.map((option) => {
        const flags = option.flags.map((flag) =>
          flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
        );
        const scope = words.length === 0 ? '' : `-n ${quoted(here)} `;
        return `${scope}${flags.join(' ')}${option.takesValue ? ' -r' : ''} -d ${quoted(option.description)}`;
      }),
    ];
  });
  const head = `# fish completion of ${name}: ${name} completion fish | source\n`;
  return head + lines.map((line) => `complete -c ${name} ${line}\n`).join('');
}

export const shells: Readonly<Record<string, (name: string, places: readonly Place[]) => string>> = { bash, zsh, fish };

/** A script that completes `program`'s commands and options. Throws an Error for a shell that is not in `shells`. */
export function completionScript(program: Command, shell: string): string {
  const write = shells[shell];
  if (write === undefined) throw new Error(`${shell}: one of ${Object.keys(shells).join(', ')}`);
  return write(program.name(), placesOf(program));
}
