using System.Runtime.CompilerServices;

namespace Amari.Native;

/// <summary>A forward hook that runs before all others of its layer, and so sees what the layer itself computed.</summary>
internal static class FirstHook
{
    /// <summary>Adds a hook; after the others where TorchSharp keeps its hooks in another way.</summary>
    /// <returns>Removes it.</returns>
    public static Action Add(nn.Module<Tensor, Tensor> layer, Func<nn.Module<Tensor, Tensor>, Tensor, Tensor, Tensor> hook) =>
        TryAdd(layer, hook) ?? layer.register_forward_hook(hook).remove;

    /// <summary>Adds a hook.</summary>
    /// <param name="layer">Not owned.</param>
    /// <param name="hook">(layer, input, output) → output.</param>
    /// <returns>Removes it and leaves the others in their order; null where TorchSharp keeps its hooks in another way.</returns>
    public static Action? TryAdd(nn.Module<Tensor, Tensor> layer, Func<nn.Module<Tensor, Tensor>, Tensor, Tensor, Tensor> hook)
    {
        Dictionary<string, Func<nn.Module<Tensor, Tensor>, Tensor, Tensor, Tensor>> hooks;
        try
        {
            hooks = Hooks<Func<nn.Module<Tensor, Tensor>, Tensor, Tensor>, Func<nn.Module<Tensor, Tensor>, Tensor, Tensor, Tensor>>.Of(
                layer
            );
        }
        catch (MissingFieldException)
        {
            return null;
        }
        string name = $"amari-{Guid.NewGuid()}";
        Fill([KeyValuePair.Create(name, hook), .. hooks]);
        return () => Fill([.. hooks.Where(h => h.Key != name)]);

        void Fill(KeyValuePair<string, Func<nn.Module<Tensor, Tensor>, Tensor, Tensor, Tensor>>[] all)
        {
            hooks.Clear(); // a dictionary that is only added to is in the order of addition
            foreach (var (key, value) in all)
                hooks.Add(key, value);
        }
    }

    private static class Hooks<TPre, TPost>
    {
        [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "post_hooks")]
        private static extern ref Dictionary<string, TPost> Field(nn.HookableModule<TPre, TPost> module);

        public static Dictionary<string, TPost> Of(nn.HookableModule<TPre, TPost> module) => Field(module);
    }
}
