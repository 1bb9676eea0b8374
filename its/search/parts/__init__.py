"""Parts that several searches share: rules of parameters, resampling, spreading a cap over steps, populations.

No tensor is here, and no request but in `tournament`: a part computes with floats, indices and handles.
"""
