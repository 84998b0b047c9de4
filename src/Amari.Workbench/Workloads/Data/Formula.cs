using System.Globalization;

namespace Amari.Workloads.Data;

/// <summary>A formula such as <c>b1*(1 - exp(-b2*x1))</c> as a function of tensors.</summary>
/// <remarks><code>
/// sum     = product { (+ | -) product }
/// product = sign { (* | /) sign }
/// sign    = (+ | -) sign | power
/// power   = atom [ (^ | **) sign ]                 to the right: 2^3^2 is 2^9
/// atom    = number | variable | pi | function ( sum ) | ( sum )      with () or []
/// </code>Functions: exp, log (natural), log10, sqrt, abs, sin, cos, tan, asin, acos, atan (also arcsin, arccos, arctan), sinh, cosh,
/// tanh.</remarks>
internal sealed class Formula
{
    private const int MaxDepth = 100;
    private static readonly Dictionary<string, Func<Tensor, Tensor>> Functions = new()
    {
        ["exp"] = t => t.exp(),
        ["log"] = t => t.log(),
        ["ln"] = t => t.log(),
        ["log10"] = t => t.log10(),
        ["sqrt"] = t => t.sqrt(),
        ["abs"] = t => t.abs(),
        ["sin"] = t => t.sin(),
        ["cos"] = t => t.cos(),
        ["tan"] = t => t.tan(),
        ["asin"] = t => t.asin(),
        ["acos"] = t => t.acos(),
        ["atan"] = t => t.atan(),
        ["arcsin"] = t => t.asin(),
        ["arccos"] = t => t.acos(),
        ["arctan"] = t => t.atan(),
        ["sinh"] = t => t.sinh(),
        ["cosh"] = t => t.cosh(),
        ["tanh"] = t => t.tanh(),
    };

    private readonly string _text;
    private readonly IReadOnlyCollection<string> _variables;
    private int _at,
        _depth;

    private Formula(string text, IReadOnlyCollection<string> variables) => (_text, _variables) = (text, variables);

    /// <summary>The function of the values of the variables by name: tensors of one shape, or numbers as tensors without
    /// dimensions.</summary>
    /// <param name="text">The formula.</param>
    /// <param name="variables">The names of the variables.</param>
    /// <exception cref="FormatException">It is no formula; the message says where and why.</exception>
    public static Func<IReadOnlyDictionary<string, Tensor>, Tensor> Parse(string text, IReadOnlyCollection<string> variables)
    {
        var formula = new Formula(text, variables);
        var term = formula.Sum();
        return formula.Peek() == '\0' ? values => term.At(values) : throw formula.Error($"'{formula.Peek()}' is not expected");
    }

    /// <summary>A part of a formula: a number, or a function.</summary>
    private readonly record struct Term(double Number, Func<IReadOnlyDictionary<string, Tensor>, Tensor>? Function)
    {
        public Tensor At(IReadOnlyDictionary<string, Tensor> values) =>
            Function?.Invoke(values) ?? tensor(Number, dtype: ScalarType.Float64);
    }

    /// <summary>a op b, with scalars where one of both is a number.</summary>
    private static Term Joined(
        Term a,
        Term b,
        Func<double, double, double> numbers,
        Func<Tensor, Tensor, Tensor> tensors,
        Func<Tensor, double, Tensor> right
    ) =>
        (a.Function, b.Function) switch
        {
            (null, null) => new(numbers(a.Number, b.Number), null),
            ({ } f, null) => new(0, v => right(f(v), b.Number)),
            _ => new(0, v => tensors(a.At(v), b.At(v))),
        };

    private Term Sum()
    {
        var sum = Product();
        while (true)
            if (Takes("+"))
                sum = Joined(sum, Product(), (x, y) => x + y, (x, y) => x + y, (x, y) => x + y);
            else if (Takes("-"))
                sum = Joined(sum, Product(), (x, y) => x - y, (x, y) => x - y, (x, y) => x - y);
            else
                return sum;
    }

    private Term Product()
    {
        var product = Sign();
        while (true)
            if (Takes("/"))
                product = Joined(product, Sign(), (x, y) => x / y, (x, y) => x / y, (x, y) => x / y);
            else if (Takes("*"))
                product = Joined(product, Sign(), (x, y) => x * y, (x, y) => x * y, (x, y) => x * y);
            else
                return product;
    }

    private Term Sign()
    {
        if (++_depth > MaxDepth)
            throw Error("there are too many brackets and signs within each other");
        bool minus = Takes("-");
        var term = minus || Takes("+") ? Sign() : Power();
        _depth--;
        return !minus ? term
            : term.Function is { } f ? new(0, v => -f(v))
            : new(-term.Number, null);
    }

    private Term Power()
    {
        var power = Atom();
        return Takes("**") || Takes("^") ? Joined(power, Sign(), Math.Pow, (x, y) => x.pow(y), (x, y) => x.pow(y)) : power;
    }

    private Term Atom()
    {
        char next = Peek();
        if (char.IsAsciiDigit(next) || next == '.')
            return Number();
        if (char.IsAsciiLetter(next))
            return Named();
        if (next is not ('(' or '['))
            throw Error(next == '\0' ? "it ends too early" : $"'{next}' is not expected");
        return Bracketed();
    }

    private Term Bracketed()
    {
        char close = _text[_at++] == '(' ? ')' : ']';
        var inner = Sum();
        return Takes($"{close}") ? inner : throw Error($"'{close}' is missing");
    }

    private Term Number()
    {
        int start = _at;
        while (_at < _text.Length && (char.IsAsciiDigit(_text[_at]) || _text[_at] == '.'))
            _at++;
        int digits = _at;
        if (_at < _text.Length && _text[_at] is 'e' or 'E' or 'd' or 'D')
        {
            _at++;
            if (_at < _text.Length && _text[_at] is '+' or '-')
                _at++;
            int exponent = _at;
            while (_at < _text.Length && char.IsAsciiDigit(_text[_at]))
                _at++;
            if (_at == exponent)
                _at = digits;
        }
        string text = _text[start.._at].Replace('d', 'e').Replace('D', 'e');
        return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
            ? new(number, null)
            : throw Error($"'{text}' is no number");
    }

    private Term Named()
    {
        int start = _at;
        while (_at < _text.Length && char.IsAsciiLetterOrDigit(_text[_at]))
            _at++;
        string name = _text[start.._at];
        if (Functions.TryGetValue(name.ToLowerInvariant(), out var function) && Peek() is '(' or '[')
        {
            var inner = Bracketed();
            return new(0, v => function!(inner.At(v)));
        }
        if (_variables.Contains(name))
            return new(0, v => v[name]);
        if (name == "pi")
            return new(Math.PI, null);
        _at = start;
        throw Error(
            $"'{name}' is not known; there are {string.Join(", ", _variables)}, pi and the functions {string.Join(", ", Functions.Keys)}"
        );
    }

    private char Peek()
    {
        while (_at < _text.Length && char.IsWhiteSpace(_text[_at]))
            _at++;
        return _at < _text.Length ? _text[_at] : '\0';
    }

    private bool Takes(string symbol)
    {
        Peek();
        if (!_text.AsSpan(_at).StartsWith(symbol, StringComparison.Ordinal))
            return false;
        _at += symbol.Length;
        return true;
    }

    private FormatException Error(string why) => new(FormattableString.Invariant($"{why}, at character {_at + 1} of '{_text}'"));
}
