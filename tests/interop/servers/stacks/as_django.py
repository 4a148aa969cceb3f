"""django-oauth-toolkit as an authorization server that takes registrations, with a person and a database in memory."""

import concurrent.futures
import datetime
import tempfile

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import include, path

urlpatterns = []


def authorization_server(issuer, scope, life):
    """The application, and what it knows of an access token: client, scope and end."""
    folder = tempfile.mkdtemp(dir=".")
    settings.configure(
        SECRET_KEY="for tests alone", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"], USE_TZ=True,
        LOGIN_URL="/accounts/login/", DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder}/db"}},
        INSTALLED_APPS=[
            "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "oauth2_provider",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        TEMPLATES=[{
            "BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
            "OPTIONS": {"loaders": [
                ("django.template.loaders.locmem.Loader", {"registration/login.html": LOGIN}),
                "django.template.loaders.app_directories.Loader",
            ]},
        }],
        OAUTH2_PROVIDER={
            "SCOPES": {scope: "Your records"}, "ACCESS_TOKEN_EXPIRE_SECONDS": life, "DCR_ENABLED": True,
            "DCR_REGISTRATION_PERMISSION_CLASSES": ("oauth2_provider.dcr.AllowAllDCRPermission",),
            "ALLOWED_SCHEMES": ["http", "https"],
        },
    )
    settings.TEMPLATES[0].pop("APP_DIRS")
    django.setup()
    from django.contrib.auth.models import User
    from django.contrib.auth.views import LoginView
    from oauth2_provider.models import get_access_token_model

    call_command("migrate", verbosity=0)
    User.objects.create_user("ada", password="correct horse")
    urlpatterns.extend([
        path("accounts/login/", LoginView.as_view()), path("", include("oauth2_provider.urls", namespace="oauth2_provider")),
    ])

    def look_up(token):
        found = get_access_token_model().objects.filter(token=token, expires__gt=datetime.datetime.now(datetime.UTC)).first()
        return found and (found.application.client_id, found.scope, found.expires.timestamp())

    def in_thread(token):
        # The ORM refuses to work in the thread of an event loop.
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            return pool.submit(look_up, token).result()

    return get_wsgi_application(), in_thread


LOGIN = """<form method="post">{% csrf_token %}{{ form }}<input type="hidden" name="next" value="{{ next }}"></form>"""
