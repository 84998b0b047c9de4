namespace Amari;

/// <summary>What the matrix products of an optimizer are computed in.</summary>
public enum MatmulPrecision
{
    /// <summary>The dtype of the weights, float32 for shorter ones.</summary>
    Full,

    /// <summary>bfloat16: every entry is rounded by up to 0.4 %, sums are not. 2-4 times faster where the processor is made for it (AMX;
    /// AMD from Zen 4 on), and up to twice slower where not, even with AVX-512: time it.</summary>
    BFloat16,
}
