"""Words that say nothing about what a picture shows, so that a group of images must not hang on them.

Frequency alone does not tell them from others: "with" is no more frequent in captions than "man". Only the most common
ones stand here, folded, of the languages that captions are mostly written in; whoever wants one of them types it.
"""

_WORDS = """
a about above across after against all along amid before an and
another any are around as at away back be been being behind below beside
between big both but by can close closeup couple different down during each few for front from full group had has have
he her here his holding in inside into is it its itself large left like little long looking lot lots made many more most
near new next no not of off old on one onto or other out outside over own s set several she showing shows side small so
some standing that the their them there these they this three through to together top two under up use used using very
view was way were what when where which while who whose with without you your
photo photos photograph photographs photography image images picture pictures pic shot illustration stock background
aber als am an auf aus bei beim bild das dem den der des die ein eine einem einen einer eines es für foto hat hinter im
in ist mit nach nicht oder sich sie sind um und unter vom von vor war wird zu zum zur zwei zwischen über neben sitzt
steht auch
au aux avec ce ces cette d dans de des deux du elle en est et il la le les leur l lui mais ne ou par pas pour qu que qui
sa se ses son sont sous sur un une entre photographie à
al con de del dos el ella en entre es esta este hay la las lo los más muy no o para pero por que se sin sobre su sus un
una unas uno y imagen fotografía
ai alla che ci con da dal dei del della delle di e gli i il in la le lo nel nella non per più se si sono su sul sulla
tra un una uno è immagine
ao aos as com da das de do dos e em entre estão está mais na nas no nos não o os ou para pela pelo por que se sem seu
sua sobre um uma é imagem
aan bij de die dat door een en het hij in is met naar naast niet of om onder op over te tussen twee uit van voor ze zich
zijn afbeelding
的 一 在 是 了 有 和 上 着 个 中 人 不 这 那 里 两 只 张 图 片 照片 图片 一个 一张 一只 の に を は が と で も
"""

FUNCTION_WORDS = frozenset(_WORDS.split())
