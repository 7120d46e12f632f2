/** Where a JSON text goes wrong; line and column count from 1, the column in UTF-16 units. */
export interface SyntaxFault {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const LITERAL = /true|false|null/y;
const BLANK = /[ \t\n\r]*/y;

/**
 * Finds what `JSON.parse` refused. Its own message quotes the text around the fault, which may be a password, and does
 * not always say where. Undefined for valid JSON.
 */
export function findSyntaxFault(text: string): SyntaxFault | undefined {
  let at = 0;
  /** Closing brackets of the open arrays and objects, innermost last: deep nesting must not use up the stack. */
  const open: string[] = [];
  let fault: SyntaxFault | undefined;

  const fail = (message: string, position = at): false => {
    fault = { ...locate(text, position), message: position >= text.length ? "unexpected end of JSON" : message };
    return false;
  };
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    if (!pattern.test(text)) return false;
    at = pattern.lastIndex;
    return true;
  };
  const string = (): boolean => {
    if (text[at] !== '"') return fail('expected a string in double quotes (")');
    at++;
    for (;;) {
      const unit = text.charCodeAt(at);
      if (unit === 0x22) {
        at++;
        return true;
      }
      if (unit === 0x5c) {
        if (!take(ESCAPE)) return fail("invalid escape in a string");
      } else if (unit >= 0x20) at++;
      // NaN behind the end of the text.
      else return fail("control character in a string");
    }
  };
  const key = (): boolean => {
    take(BLANK);
    if (!string()) return false;
    take(BLANK);
    if (text[at] !== ":") return fail("expected `:`");
    at++;
    return true;
  };
  /** A whole scalar, or the opening of an array or object that is not empty. */
  const value = (): "value" | "opened" | false => {
    take(BLANK);
    const first = text[at];
    if (first === "{" || first === "[") {
      const close = first === "{" ? "}" : "]";
      at++;
      take(BLANK);
      if (text[at] === close) {
        at++;
        return "value";
      }
      open.push(close);
      return close === "}" && !key() ? false : "opened";
    }
    if (first === '"') return string() && "value";
    return take(NUMBER) || take(LITERAL) ? "value" : fail("expected a value");
  };

  for (;;) {
    const got = value();
    if (got === false) return fault;
    if (got === "opened") continue;
    for (;;) {
      take(BLANK);
      const close = open.at(-1);
      if (close === undefined) {
        if (at < text.length) fail("unexpected text behind the end of the document");
        return fault;
      }
      if (text[at] === close) {
        at++;
        open.pop();
        continue;
      }
      if (text[at] !== ",") {
        fail(`expected \`,\` or \`${close}\``);
        return fault;
      }
      at++;
      if (close === "}" && !key()) return fault;
      break;
    }
  }
}

function locate(text: string, position: number): { line: number; column: number } {
  const before = text.slice(0, position);
  const line = before.split("\n").length;
  return { line, column: position - before.lastIndexOf("\n") };
}
