from django.contrib.auth import views
from django.urls import reverse_lazy


class SignIn(views.LoginView):
    template_name = "account/sign_in.html"
    redirect_authenticated_user = True


class SignOut(views.LogoutView):
    """POST only: a link on another site must not sign anybody out."""


class ChangePassword(views.PasswordChangeView):
    template_name = "account/password_change.html"
    success_url = reverse_lazy("overview")
