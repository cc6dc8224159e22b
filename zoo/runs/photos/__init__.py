"""The plan of `recipe=photos`: from a folder of photographs and a measurement of this machine to a complete recipe.

`plan.plan_photos` is called before a new run. It returns settings that replace those of `recipes/photos.yaml`, so the
recipe that a run records is an ordinary one, and a resumed run plans nothing.
"""
