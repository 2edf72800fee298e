from django.http import HttpRequest, HttpResponse


def script(request: HttpRequest, slug: str) -> HttpResponse:
    return HttpResponse()
