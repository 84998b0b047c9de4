using System.Collections.Immutable;
using System.Reflection.Emit;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;

namespace Amari.Tests.Architecture;

/// <summary>Which outermost types of an assembly use which, and the folder of the source file that each is in, from the assembly and its
/// symbols. A type without code, as an enum, is in the file that is called after it.</summary>
internal sealed class TypeReferences
{
    private static readonly ILookup<ushort, OperandType> Operands = typeof(OpCodes)
        .GetFields()
        .Select(f => (OpCode)f.GetValue(null)!)
        .ToLookup(o => (ushort)o.Value, o => o.OperandType);

    private readonly MetadataReader _types;
    private readonly PEReader _code;
    private readonly HashSet<(string From, string To)> _uses = [];

    /// <param name="assembly">The path of an assembly whose .pdb lies next to it.</param>
    /// <param name="project">The project's folder, as its sources' paths contain it.</param>
    public TypeReferences(string assembly, string project)
    {
        using var file = File.OpenRead(assembly);
        using var symbols = MetadataReaderProvider.FromPortablePdbStream(File.OpenRead(Path.ChangeExtension(assembly, ".pdb")));
        using var code = new PEReader(file);
        (_code, _types) = (code, code.GetMetadataReader());
        Folders = FoldersOf(symbols.GetMetadataReader(), project);
        foreach (var handle in _types.TypeDefinitions)
            Read(handle);
    }

    /// <summary>The folder of each type that has code.</summary>
    public IReadOnlyDictionary<string, string> Folders { get; }

    /// <summary>Pairs of types, both with a folder, of which the first uses the second.</summary>
    public IEnumerable<(string From, string To)> Uses =>
        _uses.Where(u => u.From != u.To && Folders.ContainsKey(u.From) && Folders.ContainsKey(u.To));

    private Dictionary<string, string> FoldersOf(MetadataReader symbols, string project)
    {
        var result = new Dictionary<string, string>();
        foreach (var handle in _types.TypeDefinitions)
        foreach (var method in _types.GetTypeDefinition(handle).GetMethods())
        {
            var document = symbols.GetMethodDebugInformation(method.ToDebugInformationHandle()).Document;
            string path = document.IsNil ? "" : symbols.GetString(symbols.GetDocument(document).Name).Replace('\\', '/');
            int at = path.IndexOf($"/{project}/", StringComparison.Ordinal);
            if (at >= 0 && path[(at + project.Length + 2)..].Split('/') is [var folder, _, ..] && folder != "obj")
                result.TryAdd(Outermost(handle), folder);
        }
        var files = Directory
            .EnumerateFiles(Path.Combine(SourceTests.Root, project), "*.cs", SearchOption.AllDirectories)
            .ToLookup(Path.GetFileNameWithoutExtension);
        foreach (string name in _types.TypeDefinitions.Select(Outermost).Where(n => !result.ContainsKey(n)))
            if (
                files[name.Split('.')[^1]].FirstOrDefault() is { } file
                && Path.GetRelativePath(Path.Combine(SourceTests.Root, project), file).Split(Path.DirectorySeparatorChar)
                    is [var folder, _, ..]
            )
                result[name] = folder;
        return result;
    }

    private string Outermost(TypeDefinitionHandle handle)
    {
        while (_types.GetTypeDefinition(handle).GetDeclaringType() is { IsNil: false } outer)
            handle = outer;
        var type = _types.GetTypeDefinition(handle);
        return $"{_types.GetString(type.Namespace)}.{_types.GetString(type.Name).Split('`')[0]}";
    }

    private void Read(TypeDefinitionHandle handle)
    {
        var type = _types.GetTypeDefinition(handle);
        var found = new Names(this, Outermost(handle));
        found.Add(type.BaseType);
        foreach (var i in type.GetInterfaceImplementations())
            found.Add(_types.GetInterfaceImplementation(i).Interface);
        found.AddConstraints(type.GetGenericParameters());
        foreach (var field in type.GetFields())
            _types.GetFieldDefinition(field).DecodeSignature(found, null);
        foreach (var m in type.GetMethods())
        {
            var method = _types.GetMethodDefinition(m);
            method.DecodeSignature(found, null);
            found.AddConstraints(method.GetGenericParameters());
            if (method.RelativeVirtualAddress != 0)
                Read(_code.GetMethodBody(method.RelativeVirtualAddress), found);
        }
    }

    private void Read(MethodBodyBlock body, Names found)
    {
        if (!body.LocalSignature.IsNil)
            _types.GetStandaloneSignature(body.LocalSignature).DecodeLocalSignature(found, null);
        foreach (var region in body.ExceptionRegions)
            found.Add(region.CatchType);
        var code = body.GetILReader();
        while (code.RemainingBytes > 0)
        {
            ushort operation = code.ReadByte();
            if (operation == 0xFE)
                operation = (ushort)(0xFE00 | code.ReadByte());
            switch (Operands[operation].First())
            {
                case OperandType.InlineField or OperandType.InlineMethod or OperandType.InlineTok or OperandType.InlineType:
                    found.Add(MetadataTokens.EntityHandle(code.ReadInt32()));
                    break;
                case OperandType.InlineNone:
                    break;
                case OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar:
                    code.Offset += 1;
                    break;
                case OperandType.InlineVar:
                    code.Offset += 2;
                    break;
                case OperandType.InlineI8 or OperandType.InlineR:
                    code.Offset += 8;
                    break;
                case OperandType.InlineSwitch:
                    int targets = code.ReadInt32(); // read first: it moves the offset
                    code.Offset += 4 * targets;
                    break;
                default:
                    code.Offset += 4;
                    break;
            }
        }
    }

    /// <summary>Adds every type of this assembly that a handle or a signature names to the uses of one type.</summary>
    private sealed class Names(TypeReferences all, string from) : ISignatureTypeProvider<object?, object?>
    {
        private readonly MetadataReader _types = all._types;

        public void Add(EntityHandle handle)
        {
            if (handle.IsNil)
                return;
            switch (handle.Kind)
            {
                case HandleKind.TypeDefinition:
                    all._uses.Add((from, all.Outermost((TypeDefinitionHandle)handle)));
                    break;
                case HandleKind.TypeSpecification:
                    _types.GetTypeSpecification((TypeSpecificationHandle)handle).DecodeSignature(this, null);
                    break;
                case HandleKind.FieldDefinition:
                    Add(_types.GetFieldDefinition((FieldDefinitionHandle)handle).GetDeclaringType());
                    break;
                case HandleKind.MethodDefinition:
                    Add(_types.GetMethodDefinition((MethodDefinitionHandle)handle).GetDeclaringType());
                    break;
                case HandleKind.MethodSpecification:
                    var method = _types.GetMethodSpecification((MethodSpecificationHandle)handle);
                    method.DecodeSignature(this, null);
                    Add(method.Method);
                    break;
                case HandleKind.MemberReference:
                    var member = _types.GetMemberReference((MemberReferenceHandle)handle);
                    Add(member.Parent);
                    if (member.GetKind() == MemberReferenceKind.Method)
                        member.DecodeMethodSignature(this, null);
                    else
                        member.DecodeFieldSignature(this, null);
                    break;
            }
        }

        public void AddConstraints(GenericParameterHandleCollection parameters)
        {
            foreach (var parameter in parameters)
            foreach (var constraint in _types.GetGenericParameter(parameter).GetConstraints())
                Add(_types.GetGenericParameterConstraint(constraint).Type);
        }

        public object? GetTypeFromDefinition(MetadataReader reader, TypeDefinitionHandle handle, byte rawTypeKind)
        {
            Add(handle);
            return null;
        }

        public object? GetTypeFromSpecification(MetadataReader reader, object? context, TypeSpecificationHandle handle, byte rawTypeKind)
        {
            Add(handle);
            return null;
        }

        public object? GetArrayType(object? elementType, ArrayShape shape) => null;

        public object? GetByReferenceType(object? elementType) => null;

        public object? GetFunctionPointerType(MethodSignature<object?> signature) => null;

        public object? GetGenericInstantiation(object? genericType, ImmutableArray<object?> typeArguments) => null;

        public object? GetGenericMethodParameter(object? genericContext, int index) => null;

        public object? GetGenericTypeParameter(object? genericContext, int index) => null;

        public object? GetModifiedType(object? modifier, object? unmodifiedType, bool isRequired) => null;

        public object? GetPinnedType(object? elementType) => null;

        public object? GetPointerType(object? elementType) => null;

        public object? GetPrimitiveType(PrimitiveTypeCode typeCode) => null;

        public object? GetSZArrayType(object? elementType) => null;

        public object? GetTypeFromReference(MetadataReader reader, TypeReferenceHandle handle, byte rawTypeKind) => null;
    }
}
