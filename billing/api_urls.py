"""REST addresses of this room."""

from django.urls import path

from billing import api

urlpatterns = [path("usage", api.UsageDoor.as_view(), name="api-usage")]
