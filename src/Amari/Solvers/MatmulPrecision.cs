namespace Amari;

/// <summary>The precision of an optimizer's matrix products.</summary>
public enum MatmulPrecision
{
    /// <summary>The dtype of the weights, or float32 for shorter dtypes.</summary>
    Full,

    /// <summary>bfloat16: entries are rounded by up to 0.4 %, sums are not. 2-4 times faster on processors with native support (AMX; AMD
    /// from Zen 4 on), up to twice as slow on others, even with AVX-512. Measure before use.</summary>
    BFloat16,
}
