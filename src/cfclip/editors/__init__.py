"""Methods of editing: latent optimisation, mappers, global directions; text maps; latent spaces."""
