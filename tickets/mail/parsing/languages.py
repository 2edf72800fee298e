"""The words mail programs put around a quotation, a forward and a signature, language by language.

There is no standard for any of them: RFC 3676 knows the ``>`` and the ``-- ``, everything else is what Gmail, Apple
Mail, Outlook, Thunderbird, Yahoo and the clients of phones happen to write in the language of their owner. The tables
are data; how they are read is in `quotes`. Every entry is written as it is compared: see `plain`.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

import re2


@dataclass(frozen=True, kw_only=True)
class Language:
    """What the mail programs of one language write. Every field holds the alternatives of that language."""

    code: str
    # How an attribution may begin ("On …"): only ever one hint among others.
    openers: tuple[str, ...] = ()
    # The verb at the end of an attribution ("… wrote:").
    wrote: tuple[str, ...] = ()
    # The verb in the middle of one ("Am … schrieb Anna:").
    wrote_inside: tuple[str, ...] = ()
    # The labels of a block of headers.
    author: tuple[str, ...] = ()
    date: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    copy: tuple[str, ...] = ()
    subject: tuple[str, ...] = ()
    # What stands between rules: "-----Original Message-----", "---------- Forwarded message ---------".
    original: tuple[str, ...] = ()
    forwarded: tuple[str, ...] = ()
    # A line of its own before a forward: "Begin forwarded message:".
    forward_begins: tuple[str, ...] = ()
    # How the advertisement of a device or a program begins ("von meinem…gesendet": begins and ends), or how it ends.
    sent_from: tuple[str, ...] = ()
    sent_from_ends: tuple[str, ...] = ()
    # What the subject of a forward begins with, without the colon.
    forward_subject: tuple[str, ...] = ()


LANGUAGES: Final = (
    Language(
        code="en",
        openers=("on", "at", "in a message dated", "in message"),
        wrote=("wrote", "writes", "wrote the following", "said"),
        wrote_inside=("wrote on",),
        author=("from",),
        date=("sent", "date", "sent at", "sent on", "date sent"),
        to=("to", "sent to"),
        copy=("cc", "bcc", "reply-to", "reply to", "importance", "attachments", "organization"),
        subject=("subject",),
        original=("original message", "reply message", "original appointment", "original e-mail", "original email"),
        forwarded=("forwarded message", "forwarded by", "forward message", "fwd", "start of forwarded message"),
        forward_begins=("begin forwarded message",),
        sent_from=("sent from", "sent via", "sent with", "sent using", "sent by", "get outlook for", "from my",
                   "get bluemail for", "typed on my", "composed on"),
        forward_subject=("fw", "fwd"),
    ),
    Language(
        code="de",
        openers=("am", "vom"),
        wrote=("schrieb", "schrieben", "schreibt", "geschrieben", "schrieben sie", "hat geschrieben", "folgendes"),
        wrote_inside=("schrieb", "schrieben", "schreibt", "hat"),
        author=("von", "absender"),
        date=("gesendet", "datum", "gesendet am"),
        to=("an", "empfänger"),
        copy=("kopie", "kopie (cc)", "antwort an", "wichtigkeit", "priorität", "anlagen", "betreff der antwort"),
        subject=("betreff",),
        original=("ursprüngliche nachricht", "originalnachricht", "original-nachricht", "ursprüngliche mail",
                  "urspr. nachricht", "ursprünglicher termin"),
        forwarded=("weitergeleitete nachricht", "weitergeleitete e-mail"),
        forward_begins=("anfang der weitergeleiteten nachricht", "anfang der weitergeleiteten e-mail"),
        sent_from=("gesendet von", "gesendet mit", "gesendet über", "gesendet aus", "von meinem…gesendet",
                   "von meiner…gesendet", "diese nachricht wurde von…gesendet", "holen sie sich outlook für",
                   "laden sie outlook für", "outlook für"),
        forward_subject=("wg",),
    ),
    Language(
        code="fr",
        openers=("le",),
        wrote=("a écrit", "écrit", "a écrit ce qui suit"),
        author=("de", "expéditeur"),
        date=("envoyé", "date", "envoyé le", "date d'envoi"),
        to=("à", "a", "pour", "destinataire"),
        copy=("copie à", "répondre à", "copie", "pièces jointes"),
        subject=("objet", "sujet"),
        original=("message d'origine", "message original", "message initial"),
        forwarded=("message transféré", "message transmis", "message réexpédié", "courriel transféré"),
        forward_begins=("début du message réexpédié", "début du message transféré"),
        sent_from=("envoyé de", "envoyé depuis", "envoyé à partir", "envoyé via", "envoyé avec", "télécharger outlook",
                   "obtenez outlook pour", "obtenir outlook pour", "provenance : courrier"),
        forward_subject=("tr", "tr."),
    ),
    Language(
        code="es",
        openers=("el", "en", "con fecha"),
        wrote=("escribió", "escribio", "escribió lo siguiente", "ha escrito", "va escriure"),
        author=("de", "remitente"),
        date=("enviado", "fecha", "enviado el", "enviada", "enviado a las"),
        to=("para", "destinatario"),
        copy=("responder a", "importancia"),
        subject=("asunto",),
        original=("mensaje original",),
        forwarded=("mensaje reenviado", "mensaje enviado"),
        forward_begins=("inicio del mensaje reenviado",),
        sent_from=("enviado desde", "enviado con", "enviado a través", "obtener outlook para", "mandado desde"),
        forward_subject=("rv", "reenv"),
    ),
    Language(
        code="pt",
        openers=("em", "no dia", "a", "às"),
        wrote=("escreveu", "escreveu o seguinte"),
        author=("de", "remetente"),
        date=("enviado", "enviada", "data", "enviada em", "enviado em", "enviado a"),
        to=("para", "destinatário"),
        copy=("responder a", "importância"),
        subject=("assunto",),
        original=("mensagem original",),
        forwarded=("mensagem encaminhada", "mensagem reencaminhada", "forwarded message"),
        forward_begins=("início da mensagem encaminhada", "início da mensagem reencaminhada"),
        sent_from=("enviado do", "enviado a partir", "enviado pelo", "enviado de", "enviado via", "obter o outlook",
                   "obtenha o outlook", "obter outlook"),
        forward_subject=("enc",),
    ),
    Language(
        code="it",
        openers=("il", "in data", "alle", "on"),
        wrote=("ha scritto", "scrive", "ha scritto quanto segue"),
        author=("da", "mittente"),
        date=("inviato", "data", "inviata", "inviato il", "data invio"),
        to=("a", "destinatario"),
        copy=("rispondi a", "risposta a", "priorità"),
        subject=("oggetto",),
        original=("messaggio originale", "messaggio originario"),
        forwarded=("messaggio inoltrato",),
        forward_begins=("inizio messaggio inoltrato", "inizio del messaggio inoltrato"),
        sent_from=("inviato da", "inviato con", "ottieni outlook per", "scarica outlook"),
        forward_subject=("i", "inoltra"),
    ),
    Language(
        code="nl",
        openers=("op",),
        wrote=("schreef", "geschreven", "het volgende geschreven", "schreef het volgende", "schreef op"),
        wrote_inside=("schreef", "heeft"),
        author=("van", "afzender"),
        date=("verzonden", "datum", "verzonden op"),
        to=("aan",),
        copy=("kopie", "antwoord aan", "beantwoorden - aan", "bijlagen"),
        subject=("onderwerp",),
        original=("oorspronkelijk bericht", "origineel bericht", "oorspronkelijke bericht"),
        forwarded=("doorgestuurd bericht",),
        forward_begins=("begin doorgestuurd bericht",),
        sent_from=("verzonden vanaf", "verzonden met", "verzonden via", "verstuurd vanaf", "verstuurd met",
                   "verzonden vanuit", "outlook voor", "download outlook voor", "outlook downloaden"),
        forward_subject=("doorst",),
    ),
    Language(
        code="pl",
        openers=("w dniu", "dnia", "wiadomość napisana przez", "w"),
        wrote=("napisał", "napisał(a)", "napisała", "pisze", "napisał/a", "napisal", "napisał(-a)"),
        wrote_inside=("wiadomość napisana przez", "napisał", "napisał(a)", "napisała"),
        author=("od", "nadawca"),
        date=("wysłano", "data", "wysłane", "data wysłania"),
        to=("do", "adresat"),
        copy=("dw", "kopia", "udw", "odpowiedź-do", "odpowiedz do"),
        subject=("temat",),
        original=("oryginalna wiadomość", "wiadomość oryginalna", "wiadomość pierwotna", "original message"),
        forwarded=("przekazana wiadomość", "wiadomość przekazana", "treść przekazanej wiadomości",
                   "przesłana dalej wiadomość"),
        forward_begins=("początek przekazywanej wiadomości",),
        sent_from=("wysłane z", "wysłano z", "wysłane przez", "wysłano za pomocą", "wysłane za pomocą",
                   "pobierz outlook", "pobierz program outlook", "uzyskaj outlook"),
        forward_subject=("pd", "odp. dalej"),
    ),
    Language(
        code="ru",
        wrote=("написал", "написал(а)", "написала", "пишет", "писал", "писал(а)", "писала", "написали", "вы писали",
               "вы написали", "пользователь"),
        author=("от", "отправитель", "от кого"),
        date=("отправлено", "дата", "дата отправки"),
        to=("кому", "получатель"),
        copy=("копия", "ответ-кому", "ответить", "важность"),
        subject=("тема",),
        original=("исходное сообщение", "оригинальное сообщение", "исходное письмо", "первоначальное сообщение"),
        forwarded=("пересылаемое сообщение", "пересланное сообщение", "перенаправленное сообщение",
                   "пересылаемое письмо", "конец пересылаемого сообщения"),
        forward_begins=("начало переадресованного сообщения", "начало пересылаемого сообщения"),
        sent_from=("отправлено с", "отправлено из", "отправлено со", "отправлено через", "послано с",
                   "скачать outlook", "скачайте outlook", "получить outlook"),
        forward_subject=("пересл", "пер"),
    ),
    Language(
        code="uk",
        wrote=("пише", "написав", "написав(ла)", "написала", "написав(-ла)", "написав/ла"),
        author=("від", "від кого", "відправник"),
        date=("надіслано", "відправлено", "дата"),
        to=("кому",),
        copy=("копія", "кому відповісти"),
        subject=("тема",),
        original=("вихідне повідомлення", "оригінальне повідомлення", "початкове повідомлення"),
        forwarded=("переслане повідомлення", "перенаправлене повідомлення", "пересилане повідомлення"),
        forward_begins=("початок листа, що пересилається", "початок переадресованого повідомлення"),
        sent_from=("надіслано з", "надіслано зі", "відправлено з", "відправлено зі", "отримати outlook",
                   "завантажте outlook"),
        forward_subject=("fw",),
    ),
    Language(
        code="tr",
        wrote=("yazdı", "şunu yazdı", "şunları yazdı", "tarihinde yazdı"),
        author=("kimden", "gönderen"),
        date=("gönderildi", "tarih", "gönderilen", "gönderme tarihi", "gönderilme tarihi", "gönderim tarihi"),
        to=("kime", "alıcı"),
        copy=("bilgi", "yanıt adresi"),
        subject=("konu",),
        original=("özgün ileti", "orijinal mesaj", "orijinal ileti", "asıl ileti"),
        forwarded=("iletilen ileti", "iletilmiş mesaj", "iletilen mesaj", "yönlendirilmiş mesaj"),
        forward_begins=("iletilen mesajın başlangıcı", "ileti başlangıcı"),
        sent_from=("outlook'u edinin", "outlook for", "ios için outlook", "android için outlook"),
        sent_from_ends=("dan gönderildi", "den gönderildi", "tan gönderildi", "ten gönderildi", "outlook'u edinin"),
        forward_subject=("ilt", "ynl"),
    ),
    Language(
        code="sv",
        openers=("den", "på"),
        wrote=("skrev", "skrev följande", "följande", "skriver"),
        wrote_inside=("skrev", "skriver"),
        author=("från", "avsändare"),
        date=("skickat", "datum", "skickades"),
        to=("till",),
        copy=("kopia", "svara till", "hemlig kopia"),
        subject=("ämne",),
        original=("ursprungligt meddelande", "originalmeddelande", "ursprungliga meddelandet"),
        forwarded=("vidarebefordrat meddelande", "vidarebefordrat mejl"),
        forward_begins=("vidarebefordrat mejl", "vidarebefordrat brev", "start på vidarebefordrat meddelande"),
        sent_from=("skickat från", "skickades från", "skickat med", "skickat via", "hämta outlook", "skaffa outlook"),
        forward_subject=("vb",),
    ),
    Language(
        code="da",
        openers=("den", "d."),
        wrote=("skrev", "skrev følgende", "har skrevet"),
        wrote_inside=("skrev",),
        author=("fra", "afsender"),
        date=("sendt", "dato"),
        to=("til",),
        copy=("svar til", "kopi"),
        subject=("emne",),
        original=("oprindelig meddelelse", "original meddelelse", "oprindelig besked"),
        forwarded=("videresendt meddelelse", "videresendt besked", "videresendt mail"),
        forward_begins=("start på videresendt besked", "start på videresendt meddelelse"),
        sent_from=("sendt fra", "sendt med", "sendt via", "hent outlook", "få outlook"),
        forward_subject=("vs",),
    ),
    Language(
        code="no",
        openers=("den", "på"),
        wrote=("skrev", "skrev følgende"),
        wrote_inside=("skrev", "skrev følgende"),
        author=("fra", "avsender"),
        date=("sendt", "dato"),
        to=("til",),
        copy=("kopi", "svar til"),
        subject=("emne",),
        original=("opprinnelig melding", "original melding", "den opprinnelige meldingen"),
        forwarded=("videresendt melding", "videresendt e-post"),
        forward_begins=("videresendt melding", "start på videresendt melding"),
        sent_from=("sendt fra", "sendt med", "sendt via", "hent outlook", "få outlook", "skaff deg outlook"),
        forward_subject=("vs", "videresend"),
    ),
    Language(
        code="fi",
        openers=("klo",),
        wrote=("kirjoitti", "kirjoitti seuraavaa", "kirjoittaa"),
        wrote_inside=("kirjoitti",),
        author=("lähettäjä",),
        date=("lähetetty", "päivämäärä", "päiväys"),
        to=("vastaanottaja",),
        copy=("kopio", "vastaus"),
        subject=("aihe",),
        original=("alkuperäinen viesti", "alkuperäinen sähköposti"),
        forwarded=("edelleenlähetetty viesti", "välitetty viesti", "välitetty viesti / fwd.msg"),
        forward_begins=("välitetty viesti alkaa", "edelleenlähetetty viesti alkaa"),
        sent_from=("lähetetty", "hanki outlook", "lataa outlook"),
        forward_subject=("vl", "vä"),
    ),
    Language(
        code="cs",
        openers=("dne",),
        wrote=("napsal", "napsal(a)", "napsala", "napsal/a", "píše", "odesílatel"),
        wrote_inside=("napsal", "napsal(a)", "napsala"),
        author=("od", "odesílatel"),
        date=("odesláno", "datum", "odeslané"),
        to=("komu",),
        copy=("kopie", "odpověď na", "skrytá kopie"),
        subject=("předmět",),
        original=("původní zpráva", "původní e-mail", "originální zpráva"),
        forwarded=("přeposlaná zpráva", "předaná zpráva"),
        forward_begins=("začátek přeposílané zprávy", "začátek přeposlané zprávy"),
        sent_from=("odesláno z", "odesláno ze", "odesláno přes", "odesláno pomocí", "posláno z", "získejte outlook",
                   "získat outlook", "stáhnout outlook"),
        forward_subject=("fw",),
    ),
    Language(
        code="sk",
        openers=("dňa",),
        wrote=("napísal", "napísal(a)", "napísala", "napísal/a", "píše"),
        author=("od", "odosielateľ"),
        date=("odoslané", "dátum"),
        to=("komu", "pre"),
        copy=("kópia", "odpovedať-pre"),
        subject=("predmet",),
        original=("pôvodná správa", "originálna správa"),
        forwarded=("preposlaná správa", "preposlaná správa --- forwarded message"),
        forward_begins=("začiatok preposlanej správy",),
        sent_from=("odoslané z", "odoslané zo", "získajte outlook", "získať outlook"),
    ),
    Language(
        code="hu",
        wrote=("ezt írta", "írta", "a következőt írta", "időpontban ezt írta", "írt"),
        wrote_inside=("ezt írta",),
        author=("feladó", "küldő"),
        date=("elküldve", "dátum", "küldve", "küldés dátuma"),
        to=("címzett",),
        copy=("másolat", "másolatot kap", "válaszcím"),
        subject=("tárgy",),
        original=("eredeti üzenet", "eredeti levél"),
        forwarded=("továbbított üzenet", "továbbított levél"),
        forward_begins=("továbbított levél kezdete", "továbbított üzenet kezdete"),
        sent_from=("elküldve", "az outlook letöltése", "outlook beszerzése"),
        sent_from_ends=("ról küldve", "ről küldve", "ról elküldve", "ről elküldve"),
        forward_subject=("tov",),
    ),
    Language(
        code="ro",
        openers=("în", "pe", "la", "in", "la data"),
        wrote=("a scris", "scris", "a scris următoarele", "a scris:"),
        author=("de la", "expeditor", "expeditorul", "din"),
        date=("trimis", "dată", "data", "trimis la", "trimisă"),
        to=("către", "destinatar", "destinatarul", "la"),
        copy=("răspuns către", "copie"),
        subject=("subiect", "subiectul"),
        original=("mesaj original", "mesajul original", "mesajul inițial"),
        forwarded=("mesaj redirecționat", "mesaj transmis", "mesajul redirecționat"),
        forward_begins=("începe mesajul redirecționat", "începutul mesajului redirecționat"),
        sent_from=("trimis de pe", "trimis din", "trimis cu", "trimis prin", "obțineți outlook", "descarcă outlook"),
        forward_subject=("redir", "redir."),
    ),
    Language(
        code="el",
        openers=("στις", "την", "στισ"),
        wrote=("έγραψε", "έγραψε τα εξής", "έγραψε τα εξήσ", "έγραψαν", "έγραψε/αν"),
        author=("από", "αποστολέας", "αποστολέασ"),
        date=("στάλθηκε", "ημερομηνία", "εστάλη", "απεστάλη"),
        to=("προς", "προσ"),
        copy=("κοιν", "κοιν.", "κοινοποίηση"),
        subject=("θέμα",),
        original=("αρχικό μήνυμα", "αρχικο μηνυμα", "πρωτότυπο μήνυμα"),
        forwarded=("προωθημένο μήνυμα", "προωθούμενο μήνυμα"),
        forward_begins=("έναρξη προωθημένου μηνύματος", "έναρξη προωθημένου μηνύματοσ", "αρχή προωθημένου μηνύματος",
                        "αρχή προωθημένου μηνύματοσ"),
        sent_from=("στάλθηκε από", "εστάλη από", "απεστάλη από", "αποκτήστε το outlook", "λήψη του outlook"),
        forward_subject=("πρθ",),
    ),
    Language(
        code="bg",
        openers=("на",),
        wrote=("написа", "пише"),
        author=("от", "подател"),
        date=("изпратено", "дата"),
        to=("до", "получател"),
        copy=("копие",),
        subject=("относно", "тема"),
        original=("оригинално съобщение", "оригинално писмо", "първоначално съобщение"),
        forwarded=("препратено съобщение", "препратено писмо"),
        forward_begins=("начало на препратеното съобщение",),
        sent_from=("изпратено от", "изпратено с", "изпратено чрез"),
    ),
    Language(
        code="hr",
        openers=("dana", "dne"),
        wrote=("je napisao/la", "je napisao", "je napisala", "napisao je", "napisala je", "napisao/la", "piše",
               "je napisao(la)", "је написао/ла", "написао је", "написала је", "je oseba"),
        author=("od", "šalje", "pošiljatelj", "šalje", "pošiljatelj"),
        date=("poslano", "datum", "poslato", "послато", "датум"),
        to=("za", "prima", "prima", "za", "прима", "за"),
        copy=("kopija", "odgovori na"),
        subject=("predmet", "naslov", "zadeva", "naslov", "предмет", "наслов"),
        original=("izvorna poruka", "originalna poruka", "izvirno sporočilo", "оригинална порука"),
        forwarded=("proslijeđena poruka", "prosleđena poruka", "posredovano sporočilo", "прослеђена порука"),
        forward_begins=("započni proslijeđenu poruku", "početak proslijeđene poruke"),
        sent_from=("poslano s", "poslano sa", "poslano iz", "poslato sa", "poslato sa", "послато са"),
    ),
    Language(
        code="zh-hans",
        openers=("在", "于"),
        wrote=("写道", "写到", "写", "撰写"),
        author=("发件人", "寄件人", "发信人"),
        date=("发送时间", "日期", "发送日期", "时间", "已发送"),
        to=("收件人",),
        copy=("抄送", "密送", "回复"),
        subject=("主题", "标题"),
        original=("原始邮件", "原始信件", "原邮件", "邮件原件", "回复的原邮件", "转发邮件信息"),
        forwarded=("转发邮件", "转发的邮件", "转发信息", "转发的消息", "转发邮件信息"),
        forward_begins=("开始转发的邮件", "以下是转发的邮件", "下面是被转发的邮件"),
        sent_from=("发自", "从我的…发送", "来自我的", "获取适用于", "下载适用于", "获取 outlook",
                   "发送自", "通过…发送"),
        forward_subject=("转发",),
    ),
    Language(
        code="zh-hant",
        openers=("在", "於"),
        wrote=("寫道", "寫到", "撰寫", "來信", "寫"),
        author=("寄件者", "寄件人", "寄件者"),
        date=("寄件日期", "日期", "傳送時間", "已傳送", "發送時間", "寄件時間"),
        to=("收件者", "收件人"),
        copy=("副本", "密件副本"),
        subject=("主旨", "主題"),
        original=("原始郵件", "原始訊息", "原始信件", "原始訊息"),
        forwarded=("轉寄郵件", "轉寄的郵件", "轉寄信件", "轉寄訊息", "轉寄的訊息", "已轉寄的郵件"),
        forward_begins=("開始轉寄郵件", "以下是轉寄的郵件", "轉寄信件開始"),
        sent_from=("從我的…傳送", "從我的…寄出", "寄自", "發自", "傳自", "取得適用於", "取得 outlook", "下載適用於"),
        forward_subject=("轉寄",),
    ),
    Language(
        code="ja",
        wrote=("のメール", "のメッセージ", "さんは書きました", "は書きました", "が書きました", "さんのメール",
               "さんからのメール", "のコメント", "wrote", "書きました", "さんが書きました", "様は書きました"),
        author=("差出人", "送信者", "from", "送信元"),
        date=("送信日時", "日時", "送信日", "日付", "送信"),
        to=("宛先", "宛て先"),
        copy=("cc", "返信先"),
        subject=("件名",),
        original=("元のメッセージ", "オリジナルメッセージ", "元のメール", "original message"),
        forwarded=("転送されたメッセージ", "転送メッセージ", "転送メール", "転送されたメール"),
        forward_begins=("転送されたメッセージ", "転送されたメール", "以下は転送メッセージです"),
        sent_from=("ios 版 outlook", "outlook for"),
        sent_from_ends=("から送信", "より送信", "を使用して送信", "outlook を入手", "から送信されました"),
        forward_subject=("転送",),
    ),
    Language(
        code="ko",
        wrote=("작성", "님이 작성", "님이 씀", "씀", "쓴 글", "님이 쓴 글", "님의 말", "님이 작성한 메시지",
               "이(가) 쓴 글"),
        author=("보낸 사람", "보낸사람", "발신", "보낸이", "발신자"),
        date=("보낸 날짜", "보낸날짜", "날짜", "보낸시간", "전송됨", "보낸 시간", "발송일"),
        to=("받는 사람", "받는사람", "수신", "받는이", "수신자"),
        copy=("참조", "숨은 참조"),
        subject=("제목",),
        original=("원본 메시지", "원본 메일", "원본메일", "원본 이메일", "original message"),
        forwarded=("전달된 메시지", "전달된 메일", "전달된 이메일"),
        forward_begins=("전달된 메시지 시작", "전달된 메시지", "전달한 메시지"),
        sent_from=("ios용 outlook", "android용 outlook"),
        sent_from_ends=("에서 보냄", "에서 보냈습니다", "에서 전송", "에서 전송됨"),
        forward_subject=("전달",),
    ),
    Language(
        code="vi",
        openers=("vào", "ngày", "lúc"),
        wrote=("đã viết", "viết", "đã viết như sau"),
        author=("từ", "người gửi"),
        date=("đã gửi", "ngày", "ngày gửi", "thời gian gửi", "gửi"),
        to=("tới", "đến", "người nhận", "kính gửi"),
        copy=("đồng gửi",),
        subject=("chủ đề", "tiêu đề"),
        original=("thư gốc", "tin nhắn gốc", "thông điệp gốc", "tin nhắn ban đầu", "thông báo gốc"),
        forwarded=("thư được chuyển tiếp", "tin nhắn đã chuyển tiếp", "thư chuyển tiếp", "tin nhắn được chuyển tiếp"),
        forward_begins=("bắt đầu thư được chuyển tiếp", "bắt đầu tin nhắn được chuyển tiếp"),
        sent_from=("đã gửi từ", "được gửi từ", "gửi từ", "tải outlook", "nhận outlook", "tải xuống outlook"),
        forward_subject=("chuyển tiếp",),
    ),
    Language(
        code="th",
        openers=("ในวันที่", "เมื่อ", "วันที่"),
        wrote=("เขียนว่า", "เขียน", "ได้เขียน", "ได้เขียนว่า"),
        author=("จาก",),
        date=("ส่ง", "วันที่", "ส่งเมื่อ"),
        to=("ถึง",),
        copy=("สำเนา",),
        subject=("เรื่อง", "หัวเรื่อง"),
        original=("ข้อความเดิม", "ข้อความต้นฉบับ"),
        forwarded=("ข้อความที่ส่งต่อ",),
        forward_begins=("เริ่มข้อความที่ส่งต่อ",),
        sent_from=("ส่งจาก",),
    ),
    Language(
        code="id",
        openers=("pada", "pada tanggal", "pada tgl"),
        wrote=("menulis", "telah menulis"),
        author=("dari",),
        date=("dikirim", "tanggal"),
        to=("kepada", "ke"),
        copy=("tembusan",),
        subject=("subjek", "perihal"),
        original=("pesan asli",),
        forwarded=("pesan terusan", "pesan yang diteruskan"),
        forward_begins=("mulai pesan terusan", "awal pesan terusan"),
        sent_from=("dikirim dari", "dikirim menggunakan", "dapatkan outlook"),
    ),
    Language(
        code="hi",
        openers=("को",),
        wrote=("ने लिखा", "ने लिखा है", "लिखा"),
        author=("से", "प्रेषक", "द्वारा"),
        date=("भेजा गया", "दिनांक", "तारीख", "भेजी गई"),
        to=("प्रति", "को", "प्राप्तकर्ता"),
        subject=("विषय",),
        original=("मूल संदेश",),
        forwarded=("अग्रेषित संदेश", "अग्रेषित मैसेज"),
        forward_begins=("अग्रेषित संदेश प्रारंभ", "अग्रेषित संदेश आरंभ"),
        sent_from_ends=("से भेजा गया", "से भेजा", "से प्रेषित"),
    ),
    Language(
        code="ar",
        openers=("في", "بتاريخ", "في يوم"),
        wrote=("كتب", "كتبت", "كتب ما يلي", "كتب/كتبت"),
        wrote_inside=("كتب", "تمت كتابة ما يلي بواسطة", "كتبت"),
        author=("من", "المرسل"),
        date=("تاريخ الإرسال", "التاريخ", "تم الإرسال", "أرسلت", "مرسل", "أُرسلت"),
        to=("إلى", "الى"),
        copy=("نسخة", "نسخة إلى"),
        subject=("الموضوع",),
        original=("الرسالة الأصلية", "رسالة أصلية", "الرسالة الأصليَّة"),
        forwarded=("رسالة مُعاد توجيهها", "رسالة معاد توجيهها", "الرسالة المعاد توجيهها", "رسالة محولة"),
        forward_begins=("بداية الرسالة المُعاد توجيهها", "بدء الرسالة المعاد توجيهها"),
        sent_from=("أُرسلت من", "أرسلت من", "أرسل من", "مرسل من", "تم الإرسال من", "الحصول على outlook",
                   "تم إرسالها من"),
    ),
    Language(
        code="fa",
        openers=("در", "در تاریخ"),
        wrote=("نوشت", "نوشته است", "نوشته"),
        author=("از", "فرستنده"),
        date=("ارسال", "تاریخ", "ارسال شده"),
        to=("به", "گیرنده"),
        subject=("موضوع",),
        original=("پیام اصلی",),
        forwarded=("پیام بازارسال شده", "پیام هدایت شده"),
        sent_from=("ارسال شده از", "فرستاده شده از"),
    ),
    Language(
        code="he",
        openers=("בתאריך", "ב-", "ביום"),
        wrote=("כתב", "כתבה", "כתב/ה", "כתב/ה את", "כתב/ה:"),
        wrote_inside=("מאת", "כתב", "כתבה"),
        author=("מאת", "שולח"),
        date=("נשלח", "תאריך", "נשלח ב"),
        to=("אל", "נמען"),
        copy=("עותק", "העתק"),
        subject=("נושא", "הנדון"),
        original=("הודעה מקורית", "ההודעה המקורית"),
        forwarded=("הודעה שהועברה", "הודעה מועברת"),
        forward_begins=("תחילת ההודעה שהועברה", "תחילת הודעה מועברת"),
        sent_from=("נשלח מ", "נשלח מה", "נשלח מה-", "קבל את outlook", "נשלח באמצעות"),
    ),
    Language(
        code="et",
        wrote=("kirjutas", "kirjutas järgmist"),
        wrote_inside=("kirjutas",),
        author=("saatja", "nuo", "no"),
        date=("saadetud", "kuupäev", "išsiųsta", "nosūtīts", "data", "datums"),
        to=("saaja", "adressaat", "kam", "kam"),
        subject=("teema", "tema", "temats"),
        original=("algne kiri", "algsõnum", "sākotnējais ziņojums", "pradinis laiškas", "originalus laiškas"),
        forwarded=("edastatud kiri", "edastatud sõnum", "pārsūtītais ziņojums", "persiųstas laiškas"),
        sent_from=("saadetud minu", "saadetud", "nosūtīts no", "išsiųsta iš"),
    ),
    Language(code="lv", wrote=("rakstīja",)),
    Language(code="lt", wrote=("rašė", "parašė")),
    Language(code="sl", wrote=("je napisal/a", "je napisal", "je napisala", "je oseba napisala")),
    Language(code="ca", openers=("el", "la"), wrote=("va escriure", "ha escrit"),
             original=("missatge original",), forwarded=("missatge reenviat",), subject=("assumpte",),
             date=("enviat", "enviat el"), author=("de",), to=("per a", "per"), sent_from=("enviat des de",)),
)  # fmt: skip


# What a sender's device or program is called in the advertisement below a message: how a word of it begins.
_DEVICES: Final = (
    "iphon", "ipad", "ipod", "apple watch", "macbook", "android", "blackberry", "galaxy", "samsung", "huawei",
    "xiaomi", "redmi", "oppo", "oneplus", "nokia", "pixel", "motorola", "xperia", "htc", "realme", "fairphone",
    "lenovo", "kindle", "outlook", "yahoo", "gmail", "hotmail", "proton", "aol", "gmx", "web.de", "t-online", "zoho",
    "naver", "daum", "yandex", "яндекс", "mail.ru", "mail for", "mail pour", "mail para", "mail per", "mailbird",
    "airmail", "superhuman", "thunderbird", "k-9", "bluemail", "tutanota", "tuta", "fastmail", "aqua mail", "windows",
    "phone", "smartphone", "handy", "mobil", "móvil", "movil", "celular", "telemóvel", "telemovel", "téléphone",
    "telefon", "teléfono", "telefoon", "toestel", "cellulare", "komórk", "смартфон", "телефон", "мобильн", "мобільн",
    "устройств", "пристро", "puhelim", "κινητό", "мобилн", "điện thoại", "device", "handheld", "tablet", "gerät",
    "appareil", "dispositiv", "cihaz", "verizon", "vodafone", "t-mobile", "at&t",
)  # fmt: skip
# The same in scripts that glue words together.
_DEVICES_ANYWHERE: Final = (
    "iphone", "ipad", "android", "outlook", "qq", "163", "126", "网易", "foxmail", "手机", "手機", "スマホ", "携帯",
    "휴대폰", "스마트폰", "핸드폰", "טלפון", "נייד", "هاتف", "جوال", "فون", "आईफ़ोन", "फ़ोन",
)  # fmt: skip

_DIGITS: Final = {
    ord(ch): str(unicodedata.digit(ch)) for ch in "٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹०१२३४५६७८९๐๑๒๓๔๕๖๗๘๙０１２３４５６７８９"
}
# Marks of direction and of nothing that clients put around names and addresses, and the many sorts of space.
_INVISIBLE: Final[dict[int, str | None]] = dict.fromkeys(
    [0x00AD, 0x061C, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF]
)
_SPACES: Final = dict.fromkeys([0x09, 0x0B, 0x0C, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000], " ")
_SAME: Final[dict[int, str | None]] = {
    **_DIGITS,
    **_INVISIBLE,
    **_SPACES,
    ord("："): ":",
    ord("’"): "'",
    ord("‘"): "'",
    ord("＜"): "<",
    ord("＞"): ">",
    ord("＠"): "@",
    ord("İ"): "i",
}
_RUNS: Final = re.compile(" {2,}")


def plain(text: str) -> str:
    """`text` as the tables are compared: NFC, folded case, ASCII digits, one sort of space and colon, no marks of
    direction. Meant for lines of a bounded length: it reads the whole of what it is given.
    """
    if text.isascii():
        text = text.lower().replace("\t", " ")
    else:
        text = unicodedata.normalize("NFC", text.translate(_SAME)).casefold()
    return _RUNS.sub(" ", text).strip() if "  " in text else text.strip()


# The kinds of label of a block of headers (`LABELS`).
AUTHOR, DATE, TO, COPY, SUBJECT = "author", "date", "to", "copy", "subject"


def _labels() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for language in LANGUAGES:
        for kind in (AUTHOR, DATE, TO, COPY, SUBJECT):
            for word in getattr(language, kind):
                found.setdefault(plain(word), set()).add(kind)
    return {word: frozenset(kinds) for word, kinds in found.items()}


def _words(field: str) -> list[str]:
    """The words of one field over all languages, the longest first, each once."""
    words = {plain(word) for language in LANGUAGES for word in getattr(language, field)}
    return sorted(words, key=lambda word: (-len(word), word))


def _either(words: list[str]) -> str:
    return "(?:" + "|".join(re.escape(word).replace("\\ ", " ") for word in words) + ")"


# Scripts that put no space between words: a verb there needs no edge before it.
_UNSPACED: Final = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def _with_edges(words: list[str], *, after: str) -> str:
    spaced = [word for word in words if not _UNSPACED.match(word)]
    unspaced = [word for word in words if _UNSPACED.match(word)]
    return rf"(?:(?:^|[^\pL\pN]){_either(spaced)}{after}|{_either(unspaced)}{after})"


# Every label of a header in every language -> the kinds it can be ("data" is a date in Italian and in Polish).
LABELS: Final = _labels()
# An attribution ends with the verb: "… wrote:", and in Hungarian and in Outlook's Norwegian with a date after it.
WROTE_AT_END: Final = re2.compile(_with_edges(_words("wrote"), after=r" ?(?:\([^()]{1,80}\))? ?:$"))
# An attribution has the verb inside: "Am … schrieb Anna:".
WROTE_INSIDE: Final = re2.compile(_with_edges(_words("wrote_inside"), after=r"[ \"'„“«<(][^:]*:?[^:]*:?[^:]*:$"))
OPENER: Final = re2.compile(rf"^{_either(_words('openers'))}[ ,0-9]|^(?:在|于|於)")
# What an attribution says of the writer that no name says: a sentence of the person's own ends like one.
PRONOUN_WROTE: Final = re2.compile(
    r"(?:^|[ ,])(?:i|we|you|he|she|they|who|ich|wir|er|sie|je|nous|il|elle|yo|io) (?:have )?\pL+ ?:$"
)
ORIGINAL: Final = frozenset(_words("original"))
FORWARDED: Final = frozenset(_words("forwarded"))
FORWARD_BEGINS: Final = frozenset(_words("forward_begins"))
_SENT_FROM: Final = re2.compile(rf"^{_either(_words('sent_from')).replace('…', '.*')}")
_SENT_FROM_ENDS: Final = re2.compile(rf"{_either(_words('sent_from_ends'))}[.!。]?$")
_DEVICE: Final = re2.compile(
    rf"(?:^|[^\pL]){_either([plain(word) for word in _DEVICES])}|{_either([plain(word) for word in _DEVICES_ANYWHERE])}"
)
# "Sent from a magnificent torch of pixels": nothing known of the device, but said as nobody says a sentence.
_SENT_FROM_SOMETHING: Final = re2.compile(r"^sent from (?:my|a|an|the) [\pL\pN' -]{2,60}[.!]?$")
_SENTENCE: Final = re2.compile(
    r"(?:^| )(?:i|it|is|are|was|were|we|you|he|she|they|that|which|because|but|when|and|has|have|had|ich|ist|und|dass|"
    r"je|est|que|et|yo|es|io|ho|ik|niet|jest|nie|это|не|και|olarak)(?:[ ,.;:]|$)"
)
_EXCUSE: Final = re2.compile(
    r"excuse|forgive|pardon|brevity|typo|errors|mistakes|tippfehler|kürze|fautes|brièveté|errores"
)
_LINK: Final = re.compile(r"[<\[(]?https?://[^\s<>\[\]()]{1,300}[>\])]?")
_AROUND: Final = " \t*_<>()[]{}|~«»\"'-–—•."
_FORWARD_SUBJECT: Final = re2.compile(
    rf"^(?:\[[^\]]{{0,80}}\] ?)?{_either(_words('forward_subject'))} ?(?:\[\d+\])? ?:"
)

# A signature of a device is short: longer lines are sentences, in characters and in words.
_LONGEST_DEVICE_LINE = 120
_MOST_WORDS = 13


def is_device_signature(line: str) -> bool:
    """Whether a line is what a phone or a mail program adds of itself ("Sent from my iPhone"), in any language.

    "Sent from my office I can see both screens" is none: it is a sentence. Say of a line whether it stands where a
    signature stands before asking.
    """
    if len(line) > 2 * _LONGEST_DEVICE_LINE:
        return False
    bare = plain(_LINK.sub("", line)).strip(_AROUND)
    if not bare or len(bare) > _LONGEST_DEVICE_LINE or len(bare.split(" ")) > _MOST_WORDS:
        return False
    begins, ends = _SENT_FROM.search(bare), _SENT_FROM_ENDS.search(bare)
    if not begins and not ends:
        return False
    if _SENTENCE.search(bare[begins.end() :] if begins else bare) and not _EXCUSE.search(bare):
        return False
    if _DEVICE.search(bare):
        return True
    return bool(_SENT_FROM_SOMETHING.search(bare))


def is_forward_subject(subject: str) -> bool:
    """Whether the subject says that the message is a forward ("Fwd:", "WG:", "TR:", "RV:", "転送:"), not a reply.

    Outlook writes the same block of headers into a reply and into a forward: only the subject tells them apart.
    """
    return bool(_FORWARD_SUBJECT.search(plain(subject[:200])))
