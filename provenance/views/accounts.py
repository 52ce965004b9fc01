from django.conf import settings
from django.contrib.auth import views
from django.shortcuts import resolve_url


class SignIn(views.LoginView):
    template_name = "account/sign_in.html"
    redirect_authenticated_user = True


class SignOut(views.LogoutView):
    """POST only: a link on another site must not sign anybody out."""


class ChangePassword(views.PasswordChangeView):
    template_name = "account/password_change.html"

    def get_success_url(self) -> str:
        return resolve_url(settings.LOGIN_REDIRECT_URL)
